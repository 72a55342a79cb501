package reactor_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestStopInsideAnyCallbackEndsRun, calling it twice included; Run ends once, and
// the loop can be run again.
func TestStopInsideAnyCallbackEndsRun(t *testing.T) {
	arms := map[string]func(t *testing.T, loop *reactor.Loop, fn func()){
		"timer":   func(t *testing.T, loop *reactor.Loop, fn func()) { loop.AfterFunc(0, fn) },
		"post":    func(t *testing.T, loop *reactor.Loop, fn func()) { must(t, loop.Post(fn)) },
		"prepare": func(t *testing.T, loop *reactor.Loop, fn func()) { onceHook(loop.OnPrepare, fn) },
		"check":   func(t *testing.T, loop *reactor.Loop, fn func()) { onceHook(loop.OnCheck, fn) },
		"idle":    func(t *testing.T, loop *reactor.Loop, fn func()) { onceHook(loop.OnIdle, fn) },
		"fd": func(t *testing.T, loop *reactor.Loop, fn func()) {
			var w *reactor.FDWatcher
			w = watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { w.Stop(); fn() })
		},
		"stream": func(t *testing.T, loop *reactor.Loop, fn func()) {
			l := newLink(t, loop, fdtest.Transports()[1], func(l *link) reactor.StreamConfig {
				return reactor.StreamConfig{OnData: func([]byte) { l.stream.Close(); fn() }}
			})
			l.peer.Send(t, []byte("x"))
		},
		"stream's end": func(t *testing.T, loop *reactor.Loop, fn func()) {
			l := newLink(t, loop, fdtest.Transports()[1], func(*link) reactor.StreamConfig {
				return reactor.StreamConfig{OnClose: func(error) { fn() }}
			})
			l.stream.Close()
		},
	}
	for name, arm := range arms {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			release := loop.Hold() // or Run would end by itself
			calls := 0
			arm(t, loop, func() {
				calls++
				loop.Stop()
				loop.Stop()
			})
			run(t, loop)
			if calls != 1 {
				t.Errorf("the callback was made %d times", calls)
			}
			verify(t, loop)
			again := false
			loop.AfterFunc(0, func() { again = true; release() })
			run(t, loop)
			if !again {
				t.Error("one Stop ended two Runs")
			}
		})
	}
}

func onceHook(start func(func()) *reactor.Hook, fn func()) {
	var h *reactor.Hook
	h = start(func() { h.Stop(); fn() })
}

// TestStopAtAnyTimeEndsRun: before it, while it begins, while it blocks and while
// it ends, from two goroutines at once. A Stop that came too late for one Run
// ends the next.
func TestStopAtAnyTimeEndsRun(t *testing.T) {
	loop := newLoop(t)
	defer loop.Hold()()
	for round := range 500 {
		var stoppers sync.WaitGroup
		for range 2 {
			stoppers.Go(func() {
				for range round % 50 {
					runtime.Gosched()
				}
				loop.Stop()
			})
		}
		run(t, loop) // or blocks for ever
		stoppers.Wait()
		loop.Stop() // at most one was left over: now exactly one is
		run(t, loop)
	}
}

// TestPostsPendingAtStopRunInTheNextRun, and those pending at Close run in it:
// none is dropped without a word.
func TestPostsPendingAtStopRunInTheNextRun(t *testing.T) {
	loop := newLoop(t)
	const count = 5000 // more than one iteration runs
	ran := 0
	for range count {
		must(t, loop.Post(func() {
			if ran++; ran == 10 {
				loop.Stop()
			}
		}))
	}
	run(t, loop)
	if ran == count {
		t.Error("Stop waited for all posts: nothing was tested")
	}
	run(t, loop)
	if ran != count {
		t.Errorf("%d of %d posts ran", ran, count)
	}
	for range count {
		must(t, loop.Post(func() { ran++ }))
	}
	must(t, loop.Close())
	if ran != 2*count {
		t.Errorf("%d of %d posts ran", ran-count, count)
	}
	wantErr(t, loop.Post(func() { t.Error("ran after Close") }), reactor.ErrClosed)
}

// TestLoopsOpenedAndClosedLeaveNothing: from whatever state. The leak check of
// newLoop counts descriptors and goroutines of all rounds.
func TestLoopsOpenedAndClosedLeaveNothing(t *testing.T) {
	newLoop(t)
	for round := range 200 {
		loop, err := reactor.New(reactor.Config{})
		must(t, err)
		if round&1 != 0 && loop.Backend() != "poll" { // which has none
			_, err := loop.FD()
			must(t, err)
		}
		if round&2 != 0 {
			ours, theirs := fdtest.Transports()[round>>2&1].Open(t)
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{})
			must(t, err)
			must(t, s.Write([]byte("queued")))
			defer theirs.Close()
		}
		if round&8 != 0 {
			must(t, loop.Post(loop.Stop))
			must(t, loop.Poll(0))
		}
		shut(t, loop)
		shut(t, loop)
		loop.Stop() // harmless, as ever
	}
}
