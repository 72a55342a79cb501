package reactor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

func TestTimerNeverFiresEarly(t *testing.T) {
	loop := newLoop(t)
	for _, d := range []time.Duration{0, 1, 999, time.Microsecond, time.Millisecond - 1, time.Millisecond, time.Millisecond + 1} {
		for range 20 {
			start := time.Now()
			loop.AfterFunc(d, func() {
				if took := time.Since(start); took < d {
					t.Errorf("%v fired after %v", d, took)
				}
			})
			run(t, loop)
		}
	}
}

// TestDelayCountsFromTheRealTime: the loop's Now is old when a callback has
// computed for long.
func TestDelayCountsFromTheRealTime(t *testing.T) {
	loop := newLoop(t)
	const d = time.Millisecond
	var start, fired time.Time
	loop.AfterFunc(0, func() {
		busyUntil(time.Now().Add(2 * d))
		start = time.Now()
		loop.AfterFunc(d, func() { fired = time.Now() })
	})
	run(t, loop)
	if took := fired.Sub(start); took < d {
		t.Errorf("%v fired after %v", d, took)
	}
}

func TestTimersFireInTheOrderOfTheirDeadlines(t *testing.T) {
	loop, clock := newHandLoop(t)
	var got []int
	for _, ms := range []int{3, 1, 2} {
		loop.AfterFunc(time.Duration(ms)*time.Millisecond, func() { got = append(got, ms) })
	}
	clock.now += 3 * time.Millisecond
	pollTimes(t, loop, 1)
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("got %v", got)
	}
}

func TestTimersOfEqualDelayFireInStartOrder(t *testing.T) {
	loop := newLoop(t)
	var got []int
	for i := range 100 {
		loop.AfterFunc(time.Millisecond, func() { got = append(got, i) })
	}
	run(t, loop)
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
}

func TestTimerNeverFiresInsideTheCallThatStartsIt(t *testing.T) {
	loop := newLoop(t)
	fired := false
	loop.AfterFunc(-time.Hour, func() {
		inner := false
		loop.AfterFunc(-time.Hour, func() { inner, fired = true, true })
		if inner {
			t.Error("called at once")
		}
	})
	if fired {
		t.Error("called at once")
	}
	run(t, loop)
	if !fired {
		t.Error("never called")
	}
}

func TestTimerStoppedByAnotherOfTheSameBatchDoesNotFire(t *testing.T) {
	loop := newLoop(t)
	var second *reactor.Timer
	loop.AfterFunc(0, func() { second.Stop() })
	second = loop.AfterFunc(0, func() { t.Error("fired") })
	busyUntil(time.Now().Add(time.Microsecond))
	run(t, loop)
}

func TestTimerResetByAnotherOfTheSameBatchFiresLater(t *testing.T) {
	loop := newLoop(t)
	const d = time.Millisecond
	var second *reactor.Timer
	var reset, fired time.Time
	loop.AfterFunc(0, func() { reset = time.Now(); second.Reset(d) })
	second = loop.AfterFunc(0, func() { fired = time.Now() })
	busyUntil(time.Now().Add(time.Microsecond))
	run(t, loop)
	if took := fired.Sub(reset); took < d {
		t.Errorf("fired %v after Reset(%v)", took, d)
	}
}

func TestRepeatingTimerStopsInItsOwnCallback(t *testing.T) {
	loop := newLoop(t)
	count := 0
	var timer *reactor.Timer
	timer = loop.Every(0, time.Microsecond, func() {
		if !timer.Active() {
			t.Error("not active in its callback")
		}
		if count++; count == 3 {
			timer.Stop()
		}
	})
	run(t, loop)
	if count != 3 || timer.Active() {
		t.Errorf("fired %d times, active %v", count, timer.Active())
	}
}

func TestOneShotTimerRestartsInItsOwnCallback(t *testing.T) {
	loop := newLoop(t)
	count := 0
	var timer *reactor.Timer
	timer = loop.AfterFunc(0, func() {
		if timer.Active() {
			t.Error("active in its callback")
		}
		if count++; count < 3 {
			timer.Start()
		}
	})
	run(t, loop)
	if count != 3 {
		t.Errorf("fired %d times", count)
	}
}

func TestTimerResetsItselfInItsOwnCallback(t *testing.T) {
	loop := newLoop(t)
	count := 0
	var timer *reactor.Timer
	timer = loop.Every(0, time.Hour, func() {
		if count++; count < 3 {
			timer.Reset(0)
			return
		}
		timer.Stop()
	})
	run(t, loop)
	if count != 3 {
		t.Errorf("fired %d times", count)
	}
}

func TestResetStartsAStoppedTimerAndChangesItsDelay(t *testing.T) {
	loop := newLoop(t)
	count := 0
	timer := loop.AfterFunc(time.Hour, func() { count++ })
	timer.Stop()
	timer.Reset(0)
	run(t, loop)
	timer.Start() // with the new delay
	run(t, loop)
	if count != 2 {
		t.Errorf("fired %d times", count)
	}
}

func TestStartOfAnActiveTimerChangesNothing(t *testing.T) {
	loop := newLoop(t)
	count := 0
	timer := loop.AfterFunc(0, func() { count++ })
	timer.Start()
	run(t, loop)
	if count != 1 {
		t.Errorf("fired %d times", count)
	}
}

func TestZeroDelayFiresOncePerIteration(t *testing.T) {
	loop := newLoop(t)
	count := 0
	var timer *reactor.Timer
	timer = loop.AfterFunc(0, func() { count++; timer.Start() })
	for range 10 {
		before := count
		pollTimes(t, loop, 1)
		if count > before+1 {
			t.Fatalf("fired %d times in one iteration", count-before)
		}
	}
	timer.Stop()
}

func TestZeroDelayTimerDoesNotStarveDescriptors(t *testing.T) {
	loop := newLoop(t)
	var timer *reactor.Timer
	timer = loop.AfterFunc(0, func() { timer.Start() })
	ready := 0
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	pollTimes(t, loop, 10)
	if ready != 10 {
		t.Errorf("called in %d of 10 iterations", ready)
	}
	timer.Stop()
}

func TestRepeatKeepsItsPhaseAfterAnOverrunAndFiresOnce(t *testing.T) {
	loop, clock := newHandLoop(t)
	const period = 10 * time.Millisecond
	fired := 0
	timer := loop.Every(period, period, func() { fired++ })
	first, _ := loop.NextDeadline()
	clock.now += 4*period + period/2
	pollTimes(t, loop, 1)
	if fired != 1 {
		t.Errorf("fired %d times after an overrun", fired)
	}
	if next, _ := loop.NextDeadline(); next.Sub(first) != 4*period {
		t.Errorf("next is %v after the first time, want %v", next.Sub(first), 4*period)
	}
	timer.Stop()
}

func TestLongestDelayNeverFires(t *testing.T) {
	loop := newLoop(t)
	timers := []*reactor.Timer{
		loop.AfterFunc(math.MaxInt64, func() { t.Error("fired") }),
		loop.Every(math.MaxInt64, math.MaxInt64, func() { t.Error("fired") }),
	}
	pollTimes(t, loop, 3)
	loop.AfterFunc(time.Microsecond, loop.Stop)
	run(t, loop)
	for _, timer := range timers {
		if timer.Remaining() <= 0 {
			t.Error("nothing remains")
		}
		timer.Stop()
	}
}

func TestUnreferencedTimerDoesNotKeepRunButFires(t *testing.T) {
	loop := newLoop(t)
	fired := false
	timer := loop.AfterFunc(0, func() { fired = true })
	timer.Unref()
	run(t, loop) // returns at once
	if fired {
		t.Error("Run waited for it")
	}
	loop.AfterFunc(time.Microsecond, func() {})
	pollUntil(t, loop, func() bool { return fired })
	timer.Start()
	timer.Ref()
	fired = false
	run(t, loop)
	if !fired {
		t.Error("Run did not wait for it after Ref")
	}
}

func TestStoppedTimerHasNothingRemaining(t *testing.T) {
	loop := newLoop(t)
	timer := loop.AfterFunc(time.Hour, func() {})
	if d := timer.Remaining(); d <= 0 || d > time.Hour {
		t.Errorf("%v remain of an hour", d)
	}
	timer.Stop()
	if d := timer.Remaining(); d != 0 {
		t.Errorf("%v remain of a stopped timer", d)
	}
}

func TestTimersAllocateNothingInSteadyState(t *testing.T) {
	loop := newLoop(t)
	var timer, other *reactor.Timer
	timer = loop.AfterFunc(0, func() {
		timer.Start()
		other.Reset(time.Hour)
		other.Stop()
		other.Start()
	})
	other = loop.AfterFunc(time.Hour, func() {})
	fast := loop.Every(0, 1, func() {})
	if n := testing.AllocsPerRun(1000, func() { pollTimes(t, loop, 1) }); n != 0 {
		t.Errorf("%v allocations per iteration", n)
	}
	for _, w := range []*reactor.Timer{timer, other, fast} {
		w.Stop()
	}
}

// TestTimerInAStructOfTheCallersNeedsNoAllocation: as many as there are, made and
// started.
func TestTimerInAStructOfTheCallersNeedsNoAllocation(t *testing.T) {
	loop := newLoop(t)
	var sessions [100]struct{ timeout reactor.Timer }
	fired := 0
	fn := func() { fired++ }
	start := func() {
		for i := range sessions {
			loop.InitTimer(&sessions[i].timeout, fn)
			sessions[i].timeout.Reset(0)
		}
	}
	start()
	if n := testing.AllocsPerRun(10, start); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if fired != 0 || !sessions[0].timeout.Active() {
		t.Errorf("fired %d times before an iteration, active %v", fired, sessions[0].timeout.Active())
	}
	run(t, loop)
	if fired != len(sessions) || sessions[0].timeout.Active() {
		t.Errorf("fired %d of %d times, active %v", fired, len(sessions), sessions[0].timeout.Active())
	}
}
