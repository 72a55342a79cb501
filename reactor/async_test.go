package reactor_test

import (
	"sync"
	"testing"

	"github.com/evfork/evfork/reactor"
)

func TestAsyncIsCalledOnceForManySends(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	a := loop.NewAsync(func() { calls++ })
	for range 1000 {
		must(t, a.Send())
	}
	if calls != 0 || !a.Pending() {
		t.Errorf("called %d times inside Send, pending %v", calls, a.Pending())
	}
	pollTimes(t, loop, 1)
	if calls != 1 || a.Pending() {
		t.Errorf("called %d times, pending %v", calls, a.Pending())
	}
	pollTimes(t, loop, 2)
	if calls != 1 {
		t.Errorf("called %d times without another Send", calls)
	}
	if posts := loop.Stats().Posts; posts != 1 {
		t.Errorf("%d posts", posts)
	}
}

func TestSendInsideOwnCallbackCallsAgain(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	var a *reactor.Async
	a = loop.NewAsync(func() {
		if calls++; calls < 3 {
			must(t, a.Send())
		} else {
			a.Stop()
		}
	})
	must(t, a.Send())
	run(t, loop)
	if calls != 3 {
		t.Errorf("called %d times, want 3", calls)
	}
}

// TestWhatComesBeforeSendIsSeenByTheCallback is the promise that makes joining
// harmless: no goroutine's last Send is lost, under the race detector, either.
func TestWhatComesBeforeSendIsSeenByTheCallback(t *testing.T) {
	const senders, each = 4, 5000
	loop := newLoop(t)
	var mu sync.Mutex
	queued, taken := 0, 0
	var a *reactor.Async
	a = loop.NewAsync(func() {
		mu.Lock()
		defer mu.Unlock()
		taken += queued
		queued = 0
		if taken == senders*each {
			a.Stop()
		}
	})
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				mu.Lock()
				queued++
				mu.Unlock()
				if err := a.Send(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	run(t, loop) // hangs if the last Send is lost
	group.Wait()
	if taken != senders*each {
		t.Errorf("%d of %d seen", taken, senders*each)
	}
}

// TestLastSendAlwaysWakesABlockedLoop hangs if one wake-up is lost.
func TestLastSendAlwaysWakesABlockedLoop(t *testing.T) {
	loop := newLoop(t)
	answer := make(chan bool, 1)
	a := loop.NewAsync(func() { answer <- true })
	var sender sync.WaitGroup
	sender.Go(func() {
		for range 2000 {
			if err := a.Send(); err != nil {
				t.Error(err)
			}
			<-answer
		}
		loop.Stop()
	})
	run(t, loop)
	sender.Wait()
}

func TestAsyncWithoutReferenceDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	a := loop.NewAsync(func() { calls++ })
	a.Unref()
	run(t, loop)
	must(t, a.Send())
	run(t, loop)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

func TestStoppedAsyncIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	a := loop.NewAsync(func() { calls++ })
	must(t, a.Send())
	a.Stop()
	a.Stop() // harmless
	must(t, a.Send())
	pollTimes(t, loop, 2)
	must(t, a.Send())
	pollTimes(t, loop, 2)
	if calls != 0 || a.Pending() {
		t.Errorf("called %d times, pending %v", calls, a.Pending())
	}
	a.Start()
	must(t, a.Send())
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("called %d times after Start", calls)
	}
}

// TestAsyncStoppedInTheSameBatchCanBeSentToAgain: what was pending is forgotten,
// and does not swallow later Sends.
func TestAsyncStoppedInTheSameBatchCanBeSentToAgain(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	second := loop.NewAsync(func() { calls++ })
	first := loop.NewAsync(func() { second.Stop() })
	must(t, first.SetPriority(reactor.MaxPriority))
	must(t, second.Send())
	must(t, first.Send())
	pollTimes(t, loop, 2)
	if calls != 0 || second.Pending() {
		t.Errorf("called %d times, pending %v", calls, second.Pending())
	}
	second.Start()
	must(t, second.Send())
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("called %d times after Start", calls)
	}
}

func TestAsyncsAreCalledByPriorityBeforeCheckHooks(t *testing.T) {
	loop := newLoop(t)
	var got []int
	loop.OnCheck(func() { got = append(got, 100) })
	for _, priority := range []int{reactor.MinPriority, reactor.MaxPriority} {
		a := loop.NewAsync(func() { got = append(got, priority) })
		must(t, a.SetPriority(priority))
		must(t, a.Send())
	}
	pollTimes(t, loop, 1)
	if len(got) != 3 || got[0] != reactor.MaxPriority {
		t.Errorf("called in the order %v", got)
	}
}

func TestSendDoesNotAllocate(t *testing.T) {
	loop := newLoop(t)
	needFreeWakes(t, loop)
	a := loop.NewAsync(func() {})
	allocs := testing.AllocsPerRun(100, func() {
		for range 10 {
			must(t, a.Send())
		}
		must(t, loop.Poll(0))
	})
	if allocs > 0 {
		t.Errorf("%v allocations per ten Sends and their call", allocs)
	}
}

func TestSendOnAClosedLoopIsRefused(t *testing.T) {
	loop := newLoop(t)
	a := loop.NewAsync(func() { t.Error("called") })
	must(t, loop.Close())
	for range 2 {
		wantErr(t, a.Send(), reactor.ErrClosed)
	}
	if a.Active() || a.Pending() || loop.NewAsync(func() {}).Active() {
		t.Error("active or pending after Close")
	}
}

// TestSendRacingCloseEitherArrivesOrIsRefused looks for a panic or a race.
func TestSendRacingCloseEitherArrivesOrIsRefused(t *testing.T) {
	for range 20 {
		loop := newLoop(t)
		a := loop.NewAsync(func() {})
		var sender sync.WaitGroup
		started := make(chan bool)
		sender.Go(func() {
			close(started)
			for a.Send() == nil {
			}
		})
		<-started
		pollTimes(t, loop, 10)
		must(t, loop.Close())
		sender.Wait()
	}
}
