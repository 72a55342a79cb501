package reactor_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// A callbackKind arranges for fn to be called by one kind of callback, in the next
// iterations of the loop. It may be called again.
type callbackKind struct {
	name   string
	config func(fn func()) reactor.Config // nil: the zero Config
	arm    func(t *testing.T, loop *reactor.Loop, fn func())
}

// callbackKinds are all that a loop makes.
func callbackKinds() []callbackKind {
	return append([]callbackKind{
		{name: "timer", arm: func(_ *testing.T, loop *reactor.Loop, fn func()) { loop.AfterFunc(0, fn) }},
		{name: "repeating timer", arm: func(_ *testing.T, loop *reactor.Loop, fn func()) { loop.Every(0, time.Hour, fn) }},
		{name: "fd", arm: func(t *testing.T, loop *reactor.Loop, fn func()) {
			watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { fn() })
		}},
		{name: "fed watcher", arm: func(t *testing.T, loop *reactor.Loop, fn func()) {
			must(t, loop.AfterFunc(time.Hour, fn).Feed())
		}},
		{name: "post", arm: func(t *testing.T, loop *reactor.Loop, fn func()) {
			must(t, loop.Post(fn))
			loop.AfterFunc(time.Hour, func() {})
		}},
		{name: "prepare hook", arm: hookKind((*reactor.Loop).OnPrepare)},
		{name: "check hook", arm: hookKind((*reactor.Loop).OnCheck)},
		{name: "idle hook", arm: hookKind((*reactor.Loop).OnIdle)},
		{name: "process", arm: func(t *testing.T, loop *reactor.Loop, fn func()) {
			cmd := exec.Command("true")
			start(t, cmd)
			t.Cleanup(func() { must(t, cmd.Wait()) })
			_, err := loop.WatchProcess(cmd.Process.Pid, fn)
			must(t, err)
		}},
		{name: "OnPanic", arm: func(_ *testing.T, loop *reactor.Loop, _ func()) {
			loop.AfterFunc(0, func() { panic("on purpose") })
		}, config: func(fn func()) reactor.Config {
			return reactor.Config{OnPanic: func(*reactor.Panic) { fn() }}
		}},
		{name: "OnSlow", arm: func(_ *testing.T, loop *reactor.Loop, _ func()) {
			loop.AfterFunc(0, func() { busyUntil(time.Now().Add(time.Microsecond)) })
		}, config: func(fn func()) reactor.Config {
			return reactor.Config{SlowThreshold: 1, OnSlow: func(reactor.SlowCallback) { fn() }}
		}},
		{name: "end of a hosted loop", arm: func(t *testing.T, loop *reactor.Loop, fn func()) {
			inner := newParkable(t)
			_, err := loop.Host(inner, func(error) { fn() })
			must(t, err)
			loop.AfterFunc(time.Hour, func() {})
		}},
	}, streamCallbackKinds()...)
}

// hookKind is one of the three kinds of hook, called once.
func hookKind(make func(*reactor.Loop, func()) *reactor.Hook) func(*testing.T, *reactor.Loop, func()) {
	return func(_ *testing.T, loop *reactor.Loop, fn func()) {
		var hook *reactor.Hook
		hook = make(loop, func() { hook.Stop(); fn() })
		loop.AfterFunc(0, func() {}) // a check or prepare hook makes no iteration by itself
		loop.AfterFunc(time.Hour, func() {})
	}
}

func streamCallbackKinds() []callbackKind {
	stream := func(config func(fn func()) reactor.StreamConfig, cause func(t *testing.T, s *reactor.Stream, peer *fdtest.End)) func(*testing.T, *reactor.Loop, func()) {
		return func(t *testing.T, loop *reactor.Loop, fn func()) {
			ours, theirs := fdtest.Pipes(t)
			t.Cleanup(theirs.Close)
			s, err := loop.NewStream(ours.Read, ours.Write, config(fn))
			must(t, err)
			loop.AfterFunc(time.Hour, func() {})
			cause(t, s, theirs)
		}
	}
	return []callbackKind{
		{name: "OnData", arm: stream(
			func(fn func()) reactor.StreamConfig { return reactor.StreamConfig{OnData: func([]byte) { fn() }} },
			func(t *testing.T, _ *reactor.Stream, peer *fdtest.End) { peer.Send(t, []byte("x")) })},
		{name: "OnEOF", arm: stream(
			func(fn func()) reactor.StreamConfig { return reactor.StreamConfig{OnEOF: fn} },
			func(_ *testing.T, _ *reactor.Stream, peer *fdtest.End) { peer.CloseWrite() })},
		{name: "OnDrain", arm: stream(
			func(fn func()) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1, OnDrain: fn} },
			func(t *testing.T, s *reactor.Stream, _ *fdtest.End) { must(t, s.Write([]byte("x"))) })},
		{name: "OnWriteError", arm: stream(
			func(fn func()) reactor.StreamConfig { return reactor.StreamConfig{OnWriteError: func(error) { fn() }} },
			func(_ *testing.T, _ *reactor.Stream, peer *fdtest.End) { peer.CloseRead() })},
		{name: "OnClose", arm: stream(
			func(fn func()) reactor.StreamConfig { return reactor.StreamConfig{OnClose: func(error) { fn() }} },
			func(_ *testing.T, s *reactor.Stream, _ *fdtest.End) { s.Close() })},
	}
}

// inEveryCallback runs a loop in which fn is called by each kind of callback in
// turn. fn must stop the loop; it is called once.
func inEveryCallback(t *testing.T, fn func(t *testing.T, loop *reactor.Loop), after func(t *testing.T, loop *reactor.Loop)) {
	for _, kind := range callbackKinds() {
		t.Run(kind.name, func(t *testing.T) {
			var loop *reactor.Loop
			called := 0
			once := func() {
				if called++; called == 1 {
					fn(t, loop)
				}
			}
			var config reactor.Config
			if kind.config != nil {
				config = kind.config(once)
			}
			loop = newLoopWith(t, config)
			kind.arm(t, loop, once)
			run(t, loop)
			if called == 0 {
				t.Error("the callback was not made")
			}
			after(t, loop)
		})
	}
}

func TestNestedCallsAreRefusedInEveryCallback(t *testing.T) {
	ctx := context.Background()
	inEveryCallback(t, func(t *testing.T, loop *reactor.Loop) {
		for name, call := range map[string]func() error{
			"Run":       func() error { return loop.Run(ctx) },
			"RunParked": func() error { return loop.RunParked(ctx) },
			"RunUntil":  func() error { return loop.RunUntil(ctx, func() bool { return true }) },
			"Poll":      func() error { return loop.Poll(0) },
			"Close":     loop.Close,
			"Shutdown":  func() error { return loop.Shutdown(ctx) },
		} {
			if err := call(); err != reactor.ErrNested {
				t.Errorf("%s: %v", name, err)
			}
		}
		loop.Stop()
	}, goesOn)
}

func TestStopInEveryCallbackEndsRunWithTheIteration(t *testing.T) {
	var at uint64
	inEveryCallback(t, func(t *testing.T, loop *reactor.Loop) {
		at = loop.Stats().Iterations
		loop.Stop()
		loop.Stop() // twice counts once
	}, func(t *testing.T, loop *reactor.Loop) {
		if n := loop.Stats().Iterations; n != at {
			t.Errorf("stopped in iteration %d, ended in %d", at, n)
		}
		goesOn(t, loop)
	})
}

// goesOn checks that a loop that was stopped can be run again.
func goesOn(t *testing.T, loop *reactor.Loop) {
	t.Helper()
	fired := false
	loop.AfterFunc(0, func() { fired = true; loop.Stop() })
	run(t, loop)
	if !fired {
		t.Error("the loop does not go on")
	}
}

func TestNestedCallsAreRefusedInTheConditionOfRunUntil(t *testing.T) {
	loop := newLoop(t)
	must(t, loop.RunUntil(context.Background(), func() bool {
		wantErr(t, loop.Poll(0), reactor.ErrNested)
		wantErr(t, loop.Run(context.Background()), reactor.ErrNested)
		return true
	}))
}

// TestEveryWatcherCountsWhileActiveAndReferenced walks each kind through its states.
func TestEveryWatcherCountsWhileActiveAndReferenced(t *testing.T) {
	type watcher interface {
		Active() bool
		Ref()
		Unref()
	}
	for name, make := range map[string]func(t *testing.T, loop *reactor.Loop) (w watcher, start, stop func()){
		"timer": func(_ *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := loop.AfterFunc(time.Hour, func() {})
			return w, w.Start, w.Stop
		},
		"repeating timer": func(_ *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := loop.Every(time.Hour, time.Hour, func() {})
			return w, w.Again, w.Stop
		},
		"fd": func(t *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := watch(t, loop, pipe(t).Read, reactor.Read, func(reactor.Ready) {})
			return w, func() { must(t, w.Start()) }, func() { must(t, w.Stop()) }
		},
		"prepare hook": func(_ *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := loop.OnPrepare(func() {})
			return w, w.Start, w.Stop
		},
		"check hook": func(_ *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := loop.OnCheck(func() {})
			return w, w.Start, w.Stop
		},
		"idle hook": func(_ *testing.T, loop *reactor.Loop) (watcher, func(), func()) {
			w := loop.OnIdle(func() {})
			return w, w.Start, w.Stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			w, start, stop := make(t, loop)
			for i, step := range []struct {
				do     func()
				active bool
				refs   int
			}{
				{func() {}, true, 1},
				{start, true, 1}, // again
				{w.Ref, true, 1},
				{w.Unref, true, 0},
				{w.Unref, true, 0}, // twice counts once
				{func() { run(t, loop) }, true, 0},
				{w.Ref, true, 1},
				{stop, false, 0},
				{stop, false, 0},
				{w.Unref, false, 0},
				{start, true, 0}, // still unreferenced
				{w.Ref, true, 1},
				{w.Unref, true, 0},
				{stop, false, 0},
				{w.Ref, false, 0},
				{start, true, 1},
			} {
				step.do()
				if refs := loop.Stats().Refs; w.Active() != step.active || refs != step.refs {
					t.Errorf("after step %d: active %v, %d references, want %v, %d", i, w.Active(), refs, step.active, step.refs)
				}
				verify(t, loop)
			}
			stop()
		})
	}
}
