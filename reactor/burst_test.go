package reactor_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// Bursts: more timers due at once than one iteration calls.

// TestTortureBurstsAreCalledOnceAndInOrder changes timers at random, from outside
// and from inside of callbacks, while many thousands are due.
func TestTortureBurstsAreCalledOnceAndInOrder(t *testing.T) {
	tortureRounds(t, 1, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		for range 2 * reactor.TimersPerIteration {
			w.addTimer()
		}
		waiting := 0
		for range 30 {
			for range 300 {
				w.changeTimer()
			}
			verify(t, w.loop)
			w.advance()
			w.iterate()
			waiting += w.loop.InBurst()
			if t.Failed() {
				break
			}
		}
		if waiting == 0 {
			t.Error("no timer ever waited for an iteration: nothing was tested")
		}
		w.end()
	})
}

// newBurst starts count timers, all of which are due, and gives them to note with
// their number when they fire.
func newBurst(loop *reactor.Loop, count int, note func(i int)) []*reactor.Timer {
	timers := make([]*reactor.Timer, count)
	for i := range timers {
		timers[i] = loop.AfterFunc(0, func() { note(i) })
	}
	return timers
}

// TestTimerOfABurstCanBeChangedBeforeItIsPending: one iteration does not call
// the last timer of a burst; what happens to it then is what would happen to any.
func TestTimerOfABurstCanBeChangedBeforeItIsPending(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name   string
		change func(timer *reactor.Timer)
		fires  int // in the next iterations
		later  int // and after an hour
	}{
		{"nothing", func(*reactor.Timer) {}, 1, 0},
		{"stopped", (*reactor.Timer).Stop, 0, 0},
		{"started", (*reactor.Timer).Start, 1, 0},
		{"restarted", func(timer *reactor.Timer) { timer.Stop(); timer.Start() }, 1, 0},
		{"reset to now", func(timer *reactor.Timer) { timer.Reset(0) }, 1, 0},
		{"reset", func(timer *reactor.Timer) { timer.Reset(hour) }, 0, 1},
		{"reset, and again", func(timer *reactor.Timer) { timer.Reset(hour); timer.Reset(0) }, 1, 0},
		{"fed", func(timer *reactor.Timer) { _ = timer.Feed() }, 1, 0},
		{"fed and stopped", func(timer *reactor.Timer) { _ = timer.Feed(); timer.Stop() }, 0, 0},
		{"fed and reset", func(timer *reactor.Timer) { _ = timer.Feed(); timer.Reset(hour) }, 0, 1},
		{"again without a period", (*reactor.Timer).Again, 0, 0},
		{"given a period", func(timer *reactor.Timer) { timer.SetPeriod(hour) }, 1, 1},
		{"given a period and fed", func(timer *reactor.Timer) { timer.SetPeriod(hour); _ = timer.Feed() }, 1, 1},
		{"fed, then one-shot again", func(timer *reactor.Timer) {
			timer.SetPeriod(hour)
			_ = timer.Feed()
			timer.SetPeriod(0)
		}, 1, 0},
		{"unreferenced", (*reactor.Timer).Unref, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			loop, clock := newHandLoop(t)
			const last = reactor.TimersPerIteration + 9
			fired := make([]int, last+1)
			timers := newBurst(loop, last+1, func(i int) { fired[i]++ })
			pollTimes(t, loop, 1)
			timer := timers[last]
			if loop.InBurst() == 0 || !timer.Active() || timer.Pending() || timer.Remaining() != 0 {
				t.Fatalf("of %d in the burst the last is active %v, pending %v, %v remain",
					loop.InBurst(), timer.Active(), timer.Pending(), timer.Remaining())
			}
			c.change(timer)
			verify(t, loop)
			pollTimes(t, loop, 3)
			if fired[last] != c.fires {
				t.Errorf("it fired %d times, want %d", fired[last], c.fires)
			}
			clock.now += hour
			pollTimes(t, loop, 1)
			if got := fired[last] - c.fires; got != c.later {
				t.Errorf("it fired %d times in the next hour, want %d", got, c.later)
			}
			timer.Stop()
			for i := range last {
				if fired[i] != 1 {
					t.Fatalf("timer %d fired %d times", i, fired[i])
				}
			}
		})
	}
}

func TestPriorityOfATimerOfABurstHoldsWhenItIsPending(t *testing.T) {
	loop, _ := newHandLoop(t)
	const count = reactor.TimersPerIteration + 10
	var got []int
	timers := newBurst(loop, count, func(i int) { got = append(got, i) })
	pollTimes(t, loop, 1)
	must(t, timers[count-1].SetPriority(reactor.MaxPriority))
	got = nil
	pollTimes(t, loop, 1)
	if want := count - 1; len(got) != 10 || got[0] != want {
		t.Errorf("%v were called, want %d first", got, want)
	}
}

// TestBurstIsCalledBeforeWhatBecomesDueMeanwhile, and the loop does not block as long as there is any.
func TestBurstIsCalledBeforeWhatBecomesDueMeanwhile(t *testing.T) {
	loop, clock := newHandLoop(t)
	const count = 3*reactor.TimersPerIteration + 1
	next := 0
	newBurst(loop, count, func(i int) {
		if i != next {
			t.Fatalf("timer %d fired in place %d", i, next)
		}
		next++
	})
	pollTimes(t, loop, 1)
	loop.AfterFunc(0, func() {
		if next != count {
			t.Errorf("a timer started meanwhile was called after %d of %d", next, count)
		}
		next++
	})
	for next <= count {
		clock.now++
		if at, ok := loop.NextDeadline(); !ok || at.After(loop.Now().Add(1)) {
			t.Fatalf("after %d of %d the loop would wait until %v, %v", next, count, at, ok)
		}
		must(t, loop.Poll(-1))
		verify(t, loop)
	}
}

// TestBurstKeepsThePhaseOfRepeatingTimers of which each is called once for what it missed.
func TestBurstKeepsThePhaseOfRepeatingTimers(t *testing.T) {
	loop, clock := newHandLoop(t)
	const count = reactor.TimersPerIteration + reactor.BurstAfter
	const period = time.Second
	fired := make([]int, count)
	timers := make([]*reactor.Timer, count)
	for i := range timers {
		timers[i] = loop.Every(time.Duration(i), period, func() { fired[i]++ })
	}
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{period / 2, 1}, {5*period - 1, 2}, {5*period + count, 3}, {6*period - 1, 3}, {6*period + count, 4}} {
		clock.now = step.at
		pollTimes(t, loop, 2)
		for i, n := range fired {
			if n != step.want {
				t.Fatalf("at %v timer %d has fired %d times, want %d", step.at, i, n, step.want)
			}
		}
	}
	for _, timer := range timers {
		timer.Stop()
	}
}

// TestStoppingAllOfABurstLeavesNothing: the loop may block, and Run returns.
func TestStoppingAllOfABurstLeavesNothing(t *testing.T) {
	loop, _ := newHandLoop(t)
	fired := 0
	timers := newBurst(loop, 3*reactor.TimersPerIteration, func(int) { fired++ })
	pollTimes(t, loop, 1)
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, i := range rnd.Perm(len(timers)) {
		timers[i].Stop()
	}
	verify(t, loop)
	if n := loop.Stats().Timing; n != 0 || loop.InBurst() != 0 {
		t.Errorf("%d timers are left, %d of them in the burst", n, loop.InBurst())
	}
	run(t, loop)
	if fired != reactor.TimersPerIteration {
		t.Errorf("%d were called, want those of one iteration", fired)
	}
}

func TestCloseStopsTheRestOfABurst(t *testing.T) {
	loop, _ := newHandLoop(t)
	timers := newBurst(loop, 3*reactor.TimersPerIteration, func(int) {})
	pollTimes(t, loop, 1)
	must(t, loop.Close())
	for i, timer := range timers {
		if timer.Active() {
			t.Fatalf("timer %d is active on a closed loop", i)
		}
	}
}

// TestBurstsAllocateNothingInSteadyState as long as they are of a size that the
// loop keeps the room for, whether they are all that waits or only a part.
func TestBurstsAllocateNothingInSteadyState(t *testing.T) {
	for _, far := range []int{0, 500} {
		t.Run(fmt.Sprint(far, " not due"), func(t *testing.T) {
			loop, clock := newHandLoop(t)
			for range far {
				loop.AfterFunc(1<<62, func() {}).Unref()
			}
			fired := 0
			timers := newBurst(loop, 10*reactor.BurstAfter, func(int) { fired++ })
			mustNotAllocate(t, func() {
				clock.now++
				pollTimes(t, loop, 1)
				onEach(timers, (*reactor.Timer).Start)()
			})
			if fired < 100*len(timers) {
				t.Errorf("%d fired: nothing was tested", fired)
			}
			onEach(timers, (*reactor.Timer).Stop)()
		})
	}
}
