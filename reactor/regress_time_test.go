package reactor_test

import (
	"math"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// TestSuspendedLoopsTimeStandsStill: what was started between Suspend and Resume came later by
// the time that had passed since Suspend, and Remaining went on falling.
func TestSuspendedLoopsTimeStandsStill(t *testing.T) {
	loop, clock := newHandLoop(t)
	fired := false
	clock.now += time.Minute
	loop.Suspend()
	clock.now += time.Hour
	timer := loop.AfterFunc(time.Second, func() { fired = true })
	clock.now += time.Hour
	if left := timer.Remaining(); left != time.Second {
		t.Errorf("%v remain of a second, while suspended", left)
	}
	loop.Resume()
	if left := timer.Remaining(); left != time.Second {
		t.Errorf("%v remain of a second", left)
	}
	pollTimes(t, loop, 2)
	if fired {
		t.Error("early")
	}
	clock.now += time.Second
	pollTimes(t, loop, 1)
	if !fired {
		t.Errorf("late: %v remain", timer.Remaining())
	}
}

// TestCloseOfASuspendedLoopIsBounded: it gives up on a child that never ends.
func TestCloseOfASuspendedLoopIsBounded(t *testing.T) {
	leaktest.Check(t)
	sim := reactortest.New(t, reactor.Config{})
	_, err := sim.Loop.Resident(residentKey(1), func() reactor.Resident { return &stuckResident{} })
	must(t, err)
	sim.Loop.Suspend()
	must(t, sim.Loop.Close())
	verify(t, sim.Loop)
}

// TestDeadlineAtTheEndOfTimeIsNotInThePast: the sum of the longest delay and the time that the
// loop had been suspended for overflowed, and a host polled without end.
func TestDeadlineAtTheEndOfTimeIsNotInThePast(t *testing.T) {
	loop, clock := newHandLoop(t)
	timer := loop.AfterFunc(math.MaxInt64, func() { t.Error("fired") })
	loop.Suspend()
	clock.now += time.Hour
	loop.Resume()
	pollTimes(t, loop, 1)
	if at, ok := loop.NextDeadline(); !ok || !at.After(loop.Now().Add(100*365*24*time.Hour)) {
		t.Errorf("the deadline is %v, %v; now is %v", at, ok, loop.Now())
	}
	timer.Stop()
}

// TestNothingRemainsOfARepeatingTimerThatIsDue: when it was pending, Remaining told of the call after that.
func TestNothingRemainsOfARepeatingTimerThatIsDue(t *testing.T) {
	loop, clock := newHandLoop(t)
	var due, fed *reactor.Timer
	loop.AfterFunc(time.Second, func() {
		must(t, fed.Feed())
		for _, timer := range []*reactor.Timer{due, fed} {
			if left := timer.Remaining(); left != 0 || !timer.Pending() {
				t.Errorf("%v remain, pending %v", left, timer.Pending())
			}
		}
	})
	due = loop.Every(time.Second, time.Second, func() {})
	fed = loop.Every(time.Hour, time.Hour, func() {})
	clock.now += time.Second
	pollTimes(t, loop, 1)
	if left := due.Remaining(); left != time.Second {
		t.Errorf("%v remain after the call", left)
	}
}
