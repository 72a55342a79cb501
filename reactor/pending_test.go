package reactor_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// prioritised is what all kinds of watcher can do with priorities.
type prioritised interface {
	SetPriority(int) error
	Priority() int
}

// TestHigherPriorityIsCalledFirst: timers and descriptors alike, whatever came first.
func TestHigherPriorityIsCalledFirst(t *testing.T) {
	loop := newLoop(t)
	var got []string
	for _, priority := range []int{0, -2, 2, 1, -1} {
		name := fmt.Sprint("timer ", priority)
		must(t, loop.AfterFunc(0, func() { got = append(got, name) }).SetPriority(priority))
		p := readyPipe(t)
		w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { got = append(got, fmt.Sprint("fd ", priority)) })
		must(t, w.SetPriority(priority))
	}
	pollTimes(t, loop, 1)
	want := []string{"timer 2", "fd 2", "timer 1", "fd 1", "timer 0", "fd 0", "timer -1", "fd -1", "timer -2", "fd -2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPriorityIsRefusedOutOfRangeAndWhilePending(t *testing.T) {
	loop := newLoop(t)
	timer := loop.AfterFunc(time.Hour, func() {})
	for _, w := range []prioritised{timer, loop.OnIdle(func() {})} {
		for _, priority := range []int{reactor.MinPriority - 1, reactor.MaxPriority + 1} {
			wantErr(t, w.SetPriority(priority), reactor.ErrInvalid)
		}
		must(t, w.SetPriority(reactor.MaxPriority))
		if w.Priority() != reactor.MaxPriority {
			t.Errorf("priority %d", w.Priority())
		}
	}
	must(t, timer.Feed())
	wantErr(t, timer.SetPriority(0), reactor.ErrPending)
	timer.Stop()
	must(t, timer.SetPriority(0))
}

// TestWatcherStoppedByAHigherPriorityIsNotCalled: it is pending when it is stopped.
func TestWatcherStoppedByAHigherPriorityIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("the descriptor's watcher was called") })
	low := loop.AfterFunc(0, func() { t.Error("the timer was called") })
	must(t, low.SetPriority(-1))
	high := loop.AfterFunc(0, func() {
		if !w.Pending() || !low.Pending() || !low.Active() {
			t.Error("what is due and ready is not pending")
		}
		must(t, w.Stop())
		low.Stop()
		verify(t, loop)
	})
	must(t, high.SetPriority(2))
	pollTimes(t, loop, 1)
	if high.Active() || low.Active() || w.Pending() {
		t.Error("something is left active")
	}
}

func TestPendingTimerCanBeReset(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	second := loop.AfterFunc(0, func() { calls++ })
	first := loop.AfterFunc(0, func() {
		if !second.Pending() {
			t.Error("the second is not pending")
		}
		second.Reset(0)
		verify(t, loop)
	})
	must(t, first.SetPriority(1))
	pollTimes(t, loop, 1)
	if calls != 0 {
		t.Error("called in the iteration in which it was put off")
	}
	run(t, loop)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

func TestFedWatchersAreCalledInTheNextIteration(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got []string
	w := watch(t, loop, p.Read, reactor.Read, func(ready reactor.Ready) { got = append(got, reactor.ReadyString(ready)) })
	once := loop.AfterFunc(time.Hour, func() { got = append(got, "once") })
	repeat := loop.Every(time.Hour, time.Hour, func() { got = append(got, "repeat") })
	must(t, w.Feed(reactor.Read|reactor.Write))
	must(t, once.Feed())
	must(t, once.Feed()) // joined
	must(t, repeat.Feed())
	verify(t, loop)
	if len(got) != 0 {
		t.Errorf("called inside Feed: %q", got)
	}
	pollTimes(t, loop, 2)
	if !slices.Equal(got, []string{"read", "once", "repeat"}) {
		t.Errorf("got %q", got)
	}
	if once.Active() || !repeat.Active() || repeat.Remaining() < 59*time.Minute {
		t.Errorf("once active %v, repeat active %v, remaining %v", once.Active(), repeat.Active(), repeat.Remaining())
	}
	repeat.Stop()
}

func TestFeedingAStoppedWatcherIsRefused(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
	timer := loop.AfterFunc(0, func() { t.Error("called") })
	must(t, w.Stop())
	timer.Stop()
	wantErr(t, w.Feed(reactor.Read), reactor.ErrNotActive)
	wantErr(t, timer.Feed(), reactor.ErrNotActive)
	pollTimes(t, loop, 2)
}

func TestStoppingAFedWatcherPreventsItsCall(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
	must(t, w.Feed(reactor.Read))
	must(t, w.Stop())
	must(t, w.Start())
	verify(t, loop)
	pollTimes(t, loop, 2)
}

// TestFeedingItselfDoesNotStarveDescriptors: each feed is one iteration.
func TestFeedingItselfDoesNotStarveDescriptors(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var timer *reactor.Timer
	timer = loop.Every(time.Hour, time.Hour, func() { must(t, timer.Feed()) })
	must(t, timer.Feed())
	calls := 0
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	pollTimes(t, loop, 10)
	if calls != 10 {
		t.Errorf("the descriptor was served in %d of 10 iterations", calls)
	}
	timer.Stop()
}

func TestFeedFDFeedsWhoAsksForIt(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	calls := 0
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	watch(t, loop, p.Read, reactor.HangUp, func(reactor.Ready) { t.Error("called for what it did not ask for") })
	loop.FeedFD(p.Read, reactor.Read)
	loop.FeedFD(-1, reactor.Read)
	loop.FeedFD(1<<20, reactor.Read)
	pollTimes(t, loop, 1)
	if calls != 2 {
		t.Errorf("called %d times, want 2", calls)
	}
}

func TestAgainPutsARepeatingTimerOff(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	timer := loop.Every(0, time.Hour, func() { calls++ })
	timer.Again()
	if left := timer.Remaining(); left < 59*time.Minute {
		t.Errorf("%v remain", left)
	}
	pollTimes(t, loop, 2)
	if calls != 0 {
		t.Error("called though it was put off")
	}
	timer.Stop()
	timer.Again()
	if !timer.Active() {
		t.Error("Again did not start it")
	}
	timer.SetPeriod(0)
	timer.Again()
	if timer.Active() {
		t.Error("Again did not stop a timer without a period")
	}
}

// TestManyDueTimersShareTheLoop: a million of them must not hold up descriptors
// until the last has been called.
func TestManyDueTimersShareTheLoop(t *testing.T) {
	loop := newLoop(t)
	const n = 20_000
	fired := 0
	for range n {
		loop.AfterFunc(0, func() { fired++ })
	}
	p := readyPipe(t)
	var at int
	w := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { at = fired })
	pollUntil(t, loop, func() bool { return at > 0 })
	if at == n {
		t.Error("the descriptor had to wait for all of them")
	}
	must(t, w.Stop())
	run(t, loop)
	if fired != n {
		t.Errorf("%d of %d fired", fired, n)
	}
}

func TestSuspendedTimeDoesNotBringTimersNearer(t *testing.T) {
	loop, clock := newHandLoop(t)
	fired := 0
	loop.AfterFunc(time.Hour, func() { fired++ })
	timer := loop.AfterFunc(2*time.Hour, func() { fired++ })
	clock.now += time.Minute
	loop.Suspend()
	clock.now += time.Hour
	loop.Suspend() // once is enough
	clock.now += time.Hour
	loop.Resume()
	loop.Resume()
	if left := timer.Remaining(); left != 2*time.Hour-time.Minute {
		t.Errorf("%v remain, though a minute has passed of two hours", left)
	}
	pollTimes(t, loop, 1)
	if now := clock.Wall().Sub(loop.Now()); now != 0 {
		t.Errorf("Now is off by %v", now)
	}
	clock.now += 59 * time.Minute
	pollTimes(t, loop, 1)
	if fired != 1 {
		t.Errorf("%d of the two timers have fired after an hour that counts", fired)
	}
	timer.Stop()
}

func TestClosingALoopDropsWhatWasFed(t *testing.T) {
	loop := newLoop(t)
	timer := loop.AfterFunc(time.Hour, func() { t.Error("called") })
	must(t, timer.Feed())
	must(t, loop.Close())
	if timer.Active() {
		t.Error("still active")
	}
	wantErr(t, timer.Feed(), reactor.ErrNotActive)
}

// TestPanicWithWatchersPendingIsCleanedUpByClose: what had been collected when Run
// was left is in no other list.
func TestPanicWithWatchersPendingIsCleanedUpByClose(t *testing.T) {
	loop := newLoop(t)
	loop.AfterFunc(0, func() { panic("on purpose") })
	second := loop.AfterFunc(0, func() { t.Error("called after the panic") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not leave Poll")
			}
		}()
		loop.Poll(0)
	}()
	verify(t, loop)
	if !second.Pending() {
		t.Error("the second timer is not pending")
	}
	must(t, loop.Close())
	if second.Active() {
		t.Error("still active")
	}
}

// TestPendingAllocatesNothing: after the queues have grown.
func TestPendingAllocatesNothing(t *testing.T) {
	loop := newLoop(t)
	needFreeWakes(t, loop)
	timer := loop.Every(time.Hour, time.Hour, func() {})
	loop.OnPrepare(func() {}).Unref()
	loop.OnCheck(func() {}).Unref()
	p := readyPipe(t)
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {})
	round := func() {
		must(t, timer.Feed())
		must(t, loop.Poll(0))
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per iteration", n)
	}
	timer.Stop()
	unix.Read(p.Read, make([]byte, 1))
}
