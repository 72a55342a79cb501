package reactor_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestClosedLoopRefusesEverything(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	stopped, err := loop.WatchFD(p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
	must(t, err)
	must(t, stopped.Stop())
	must(t, loop.Close())
	ctx := context.Background()
	never := func() { t.Error("called") }
	for name, call := range map[string]func() error{
		"Run":          func() error { return loop.Run(ctx) },
		"RunUntil":     func() error { return loop.RunUntil(ctx, func() bool { return false }) },
		"Poll":         func() error { return loop.Poll(0) },
		"Post":         func() error { return loop.Post(never) },
		"Do":           func() error { return loop.Do(ctx, never) },
		"FD":           func() error { _, err := loop.FD(); return err },
		"WatchProcess": func() error { _, err := loop.WatchProcess(1, never); return err },
		"Resident":     func() error { _, err := loop.Resident(0, nil); return err },
		"Start":        stopped.Start,
		"WatchFD": func() error {
			_, err := loop.WatchFD(p.Read, reactor.Read, func(reactor.Ready) { never() })
			return err
		},
		"NewStream": func() error {
			_, err := loop.NewStream(p.Read, p.Write, reactor.StreamConfig{OnClose: func(error) { never() }})
			return err
		},
	} {
		if err := call(); err != reactor.ErrClosed {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
	if loop.AfterFunc(0, never).Active() {
		t.Error("a timer was started")
	}
	if !fdtest.Open(p.Read) || !fdtest.Open(p.Write) {
		t.Error("refused descriptors were closed")
	}
}

func TestCloseTwiceIsHarmless(t *testing.T) {
	loop := newLoop(t)
	must(t, loop.Close())
	must(t, loop.Close())
	loop.Stop()
	loop.Hold()()
	if _, ok := loop.NextDeadline(); ok {
		t.Error("a closed loop has a deadline")
	}
}

func TestCloseRunsAcceptedPosts(t *testing.T) {
	loop := newLoop(t)
	const count = 5000 // more than one batch
	ran := 0
	for range count {
		must(t, loop.Post(func() { ran++ }))
	}
	loop.Post(func() { wantErr(t, loop.Post(func() { t.Error("called") }), reactor.ErrClosed) })
	must(t, loop.Close())
	if ran != count {
		t.Errorf("%d of %d posts ran", ran, count)
	}
}

func TestCloseStopsWatchersAndTimers(t *testing.T) {
	loop := newLoop(t)
	never := func() { t.Error("called") }
	timer := loop.AfterFunc(0, never)
	w, err := loop.WatchFD(readyPipe(t).Read, reactor.Read, func(reactor.Ready) { never() })
	must(t, err)
	must(t, loop.Close())
	if timer.Active() || w.Active() {
		t.Errorf("timer active %v, watcher active %v", timer.Active(), w.Active())
	}
	timer.Stop()
	timer.Reset(0)
	must(t, w.Stop())
	must(t, w.SetInterest(reactor.Write))
}

func TestCloseEndsStreamsWithErrClosed(t *testing.T) {
	loop := newLoop(t)
	var got []error
	for range 3 {
		ours, theirs := fdtest.Pipes(t)
		defer theirs.Close()
		s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(err error) { got = append(got, err) }})
		must(t, err)
		must(t, s.Write([]byte("dropped")))
	}
	must(t, loop.Close())
	if len(got) != 3 {
		t.Fatalf("%d of 3 streams were told", len(got))
	}
	for _, err := range got {
		wantErr(t, err, reactor.ErrClosed)
	}
}

func TestDoneIsClosedByClose(t *testing.T) {
	loop := newLoop(t)
	select {
	case <-loop.Done():
		t.Error("done before Close")
	default:
	}
	loop.Post(func() {
		select {
		case <-loop.Done():
			t.Error("done before the last callback")
		default:
		}
	})
	must(t, loop.Close())
	<-loop.Done()
}

func TestShutdownWithoutResidentsCloses(t *testing.T) {
	loop := newLoop(t)
	ran := false
	loop.Post(func() { ran = true })
	must(t, loop.Shutdown(context.Background()))
	if !ran {
		t.Error("an accepted post did not run")
	}
	<-loop.Done()
}

// leaveRun has a callback leave Run, by a panic or by Goexit, and returns what
// was recovered.
func leaveRun(loop *reactor.Loop) (recovered any) {
	var runner sync.WaitGroup
	runner.Go(func() {
		defer func() { recovered = recover() }()
		loop.Run(context.Background())
	})
	runner.Wait()
	return recovered
}

// places are where a callback can leave Run from. Each arms one that calls leave.
func places() map[string]func(t *testing.T, loop *reactor.Loop, leave func()) {
	return map[string]func(t *testing.T, loop *reactor.Loop, leave func()){
		"timer": func(t *testing.T, loop *reactor.Loop, leave func()) { loop.AfterFunc(0, leave) },
		"post":  func(t *testing.T, loop *reactor.Loop, leave func()) { loop.Post(leave) },
		"descriptor": func(t *testing.T, loop *reactor.Loop, leave func()) {
			watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { leave() })
		},
		"OnClose": func(t *testing.T, loop *reactor.Loop, leave func()) {
			s, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(error) { leave() }})
			must(t, err)
			s.Close()
		},
		"OnData": func(t *testing.T, loop *reactor.Loop, leave func()) {
			_, err := loop.NewStream(fdtest.Dup(t, readyPipe(t).Read), -1, reactor.StreamConfig{OnData: func([]byte) { leave() }})
			must(t, err)
		},
	}
}

func TestLeavingRunEndsTheLoop(t *testing.T) {
	for place, arm := range places() {
		for _, way := range []struct {
			name  string
			leave func()
			want  any
		}{
			{"panic", func() { panic("left") }, "left"},
			{"Goexit", runtime.Goexit, nil},
		} {
			t.Run(way.name+" in "+place, func(t *testing.T) {
				loop := newLoop(t)
				var closed []error
				_, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(err error) { closed = append(closed, err) }})
				must(t, err)
				arm(t, loop, way.leave)
				if got := leaveRun(loop); got != way.want {
					t.Errorf("recovered %v, want %v", got, way.want)
				}
				if len(closed) != 1 || closed[0] != reactor.ErrClosed {
					t.Errorf("OnClose was called with %v", closed)
				}
				<-loop.Done()
				wantErr(t, loop.Run(context.Background()), reactor.ErrClosed)
				wantErr(t, loop.Post(func() { t.Error("called") }), reactor.ErrClosed)
				verify(t, loop)
			})
		}
	}
}

func TestLeavingRunReleasesThoseWhoWaitInDo(t *testing.T) {
	loop := newLoop(t)
	const callers = 4
	var group sync.WaitGroup
	loop.AfterFunc(time.Hour, func() {})
	for range callers {
		group.Go(func() {
			ran := false
			err := loop.Do(context.Background(), func() { ran = true; panic("left") })
			if ran != (err == nil) {
				t.Errorf("ran %v, %v", ran, err)
			}
		})
	}
	if got := leaveRun(loop); got != "left" {
		t.Errorf("recovered %v", got)
	}
	group.Wait() // the one that panicked and those that never ran
}

// TestEveryStreamIsToldAlthoughOthersPanicAmidTheEnding: those behind a panic of the ending were not told, so that a
// goroutine whose call depended on it waited for ever.
func TestEveryStreamIsToldAlthoughOthersPanicAmidTheEnding(t *testing.T) {
	loop := newLoop(t)
	told := 0
	for range 5 {
		onClose := func(error) { told++; panic("again") }
		_, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: onClose})
		must(t, err)
		loop.OnCleanup(func() { told++; panic("again") })
	}
	loop.Post(func() { panic("left") })
	if got := fmt.Sprint(leaveRun(loop)); strings.Count(got, "panic: again\n") != 10 {
		t.Errorf("recovered %v", got)
	}
	if told != 10 {
		t.Errorf("%d of 10 callbacks of the ending were called", told)
	}
	<-loop.Done()
}
