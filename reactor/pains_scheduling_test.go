package reactor_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// The Go scheduler with one processor, and with goroutines that are not
// preempted: whoever does not yield holds up everybody else. These run in
// processes of their own, which say how many processors there are.

func onSchedules(t *testing.T, body func(t *testing.T)) {
	for name, env := range map[string][]string{
		"one processor":                    {"GOMAXPROCS=1"},
		"one processor without preemption": {"GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"},
		"two processors":                   {"GOMAXPROCS=2"},
	} {
		t.Run(name, func(t *testing.T) {
			if alone(t, env...) {
				body(t)
			}
		})
	}
}

// TestLoopGoesOnBesideGoroutinesThatComputeLong: they yield only when they have
// computed for milliseconds. Timers, descriptors and posts all have their turn.
func TestLoopGoesOnBesideGoroutinesThatComputeLong(t *testing.T) {
	onSchedules(t, func(t *testing.T) {
		loop := newLoop(t)
		var quit atomic.Bool
		done := make(chan bool)
		const hogs = 3
		for range hogs {
			go func() {
				for !quit.Load() {
					if compute() == 0 {
						t.Error("computed wrongly")
					}
					runtime.Gosched()
				}
				done <- true
			}()
		}
		l := newLink(t, loop, fdtest.Transports()[0], func(l *link) reactor.StreamConfig {
			return reactor.StreamConfig{OnData: func(data []byte) { must(t, l.stream.Write(data)) }}
		})
		ticks, posts, echoes := 0, 0, 0
		ticker := loop.Every(time.Millisecond, time.Millisecond, func() { ticks++ })
		var post func()
		post = func() {
			posts++
			go func() {
				if err := loop.Post(post); err != nil && !quit.Load() {
					t.Error(err)
				}
			}()
		}
		post()
		l.peer.Send(t, []byte("x"))
		pollUntil(t, loop, func() bool {
			if data, _ := l.peer.Available(t); len(data) > 0 {
				echoes++
				l.peer.Send(t, data)
			}
			return ticks >= 10 && posts >= 10 && echoes >= 10
		})
		quit.Store(true)
		for range hogs {
			<-done
		}
		ticker.Stop()
	})
}

// compute does not call anything, so it cannot be preempted at a call. The result
// is of no use, but must be used.
func compute() uint64 {
	x := uint64(1)
	for range 5_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// TestLoopThatNeverSleepsLetsGoroutinesRun: an idle hook, a descriptor that is
// always ready and a post that posts itself keep it from ever blocking.
func TestLoopThatNeverSleepsLetsGoroutinesRun(t *testing.T) {
	onSchedules(t, func(t *testing.T) {
		loop := newLoop(t)
		var progress atomic.Int32
		done := make(chan bool)
		go func() {
			for range 20 {
				progress.Add(1)
				runtime.Gosched() // behind the loop, if there is one processor
			}
			close(done)
		}()
		hook := loop.OnIdle(func() {})
		ready := watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {})
		var self func()
		self = func() {
			if progress.Load() < 20 {
				must(t, loop.Post(self))
			}
		}
		self()
		blocked := loop.Stats().Blocked
		ctx := t.Context()
		must(t, loop.RunUntil(ctx, func() bool { return progress.Load() == 20 }))
		if n := loop.Stats().Blocked; n != blocked {
			t.Errorf("the loop blocked %d times: nothing was tested", n-blocked)
		}
		<-done
		hook.Stop()
		must(t, ready.Stop())
	})
}

// TestLowPriorityFloodHoldsUpNothing: a hundred watchers of the lowest priority are
// ready in each iteration. One of the highest that becomes ready amid them is
// called first in the next, and they are all called, too.
func TestLowPriorityFloodHoldsUpNothing(t *testing.T) {
	loop := newLoop(t)
	const flood = 100
	urgent := pipe(t)
	lowCalls, urgentCalls, lowInIteration := 0, 0, 0
	for range flood {
		w := watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {
			if lowInIteration++; lowInIteration == 1 {
				urgent.Send(t, []byte("x"))
			}
			lowCalls++
		})
		must(t, w.SetPriority(reactor.MinPriority))
	}
	w := watch(t, loop, urgent.Read, reactor.Read, func(reactor.Ready) {
		urgentCalls++
		if lowInIteration != 0 {
			t.Errorf("%d watchers of lower priority were called before", lowInIteration)
		}
		urgent.Available(t)
	})
	must(t, w.SetPriority(reactor.MaxPriority))
	// Meanwhile the array of events grows until it holds all of them.
	for range 20 {
		lowInIteration = 0
		pollTimes(t, loop, 1)
	}
	before, urgentBefore := lowCalls, urgentCalls
	for range 10 {
		lowInIteration = 0
		pollTimes(t, loop, 1)
	}
	if lowCalls-before != 10*flood || urgentCalls-urgentBefore != 10 {
		t.Errorf("in 10 iterations %d calls of low priority, want %d, and %d of high, want 10", lowCalls-before, 10*flood, urgentCalls-urgentBefore)
	}
}

// TestHighPriorityFloodStarvesNobody: priorities order the callbacks of an
// iteration and do not lock anybody out of it.
func TestHighPriorityFloodStarvesNobody(t *testing.T) {
	loop := newLoop(t)
	low := 0
	for range 20 {
		w := watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {})
		must(t, w.SetPriority(reactor.MaxPriority))
	}
	var again *reactor.Timer
	again = loop.AfterFunc(0, func() { again.Start() })
	must(t, again.SetPriority(reactor.MaxPriority))
	w := watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { low++ })
	must(t, w.SetPriority(reactor.MinPriority))
	pollTimes(t, loop, 10)
	if low != 10 {
		t.Errorf("called in %d of 10 iterations", low)
	}
	again.Stop()
}
