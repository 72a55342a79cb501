package reactor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// countingClock counts how often it is read.
type countingClock struct {
	handClock
	readings int
}

func (c *countingClock) Monotonic() time.Duration {
	c.readings++
	return c.handClock.Monotonic()
}

// TestBusyLoopReadsTheClockOnceAnIteration: when its wait has ended, which is the
// end of the iteration before, too. A timer that is not due does not cost another
// reading, since the loop does not have to know how long it might block.
func TestBusyLoopReadsTheClockOnceAnIteration(t *testing.T) {
	clock := &countingClock{}
	loop := newLoopWith(t, reactor.Config{Clock: clock})
	ready := 0
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	timer := loop.AfterFunc(time.Hour, func() {})
	pollTimes(t, loop, 1)
	clock.readings = 0
	const iterations = 10
	left := iterations
	must(t, loop.RunUntil(context.Background(), func() bool { left--; return left < 0 }))
	if ready != iterations+1 || clock.readings != iterations+1 { // and one when Run returns
		t.Errorf("%d readings in %d iterations, in which the descriptor was called %d times",
			clock.readings, iterations, ready-1)
	}
	timer.Stop()
}

// TestUpdateNowReadsTheConfiguredClock: in a callback that takes long, outside of Run, while the loop's time stands still, and
// on a closed loop.
func TestUpdateNowReadsTheConfiguredClock(t *testing.T) {
	loop, clock := newHandLoop(t)
	want := func(where string, at time.Duration) {
		t.Helper()
		if got := loop.UpdateNow(); !got.Equal(time.Unix(0, 0).Add(at)) || !loop.Now().Equal(got) {
			t.Errorf("%s: %v, then Now is %v; want %v", where, got, loop.Now(), time.Unix(0, 0).Add(at))
		}
	}
	clock.now = time.Second
	want("before an iteration", time.Second)
	loop.AfterFunc(0, func() {
		clock.now += time.Minute
		if !loop.Now().Equal(time.Unix(1, 0)) {
			t.Errorf("unasked, Now is %v", loop.Now())
		}
		want("in a callback", time.Second+time.Minute)
	})
	pollTimes(t, loop, 1)
	loop.Suspend()
	clock.now += time.Hour
	want("suspended", time.Second+time.Minute)
	loop.Resume()
	want("resumed", clock.now)
	must(t, loop.Close())
	clock.now += time.Hour
	want("closed", clock.now)
}

// TestTimerThatUpdateNowFindsDueFiresInTheNextIteration: no earlier, and no later.
func TestTimerThatUpdateNowFindsDueFiresInTheNextIteration(t *testing.T) {
	loop, clock := newHandLoop(t)
	var fired []string
	note := func(name string) func() { return func() { fired = append(fired, name) } }
	loop.AfterFunc(time.Second, note("later"))
	loop.AfterFunc(0, func() {
		clock.now += time.Minute
		loop.UpdateNow()
		loop.AfterFunc(0, note("new"))
	})
	must(t, loop.Post(func() { fired = append(fired, "post") }))
	pollTimes(t, loop, 1)
	if len(fired) != 1 {
		t.Errorf("in the same iteration: %v", fired)
	}
	pollTimes(t, loop, 1)
	if !slices.Equal(fired, []string{"post", "later", "new"}) {
		t.Errorf("after the next: %v", fired)
	}
}

// TestUpdateNowChangesNoLag: what was counted began at the last update, so that a callback of 7 ms was one of 4.
func TestUpdateNowChangesNoLag(t *testing.T) {
	loop, clock := newHandLoop(t)
	loop.AfterFunc(0, func() {
		for _, took := range []time.Duration{1, 2, 4} {
			clock.now += took * time.Millisecond
			loop.UpdateNow()
		}
	})
	pollTimes(t, loop, 1)
	if lag := loop.Stats().Lag; lag.Count() != 1 || lag.Quantile(1) != 8192*time.Microsecond {
		t.Errorf("%d turns, the longest below %v", lag.Count(), lag.Quantile(1))
	}
}

// TestUpdateNowChangesNothingButNow: a loop on which it is called everywhere does the same, at the same times and with the same
// counters, as one on which it never is.
func TestUpdateNowChangesNothingButNow(t *testing.T) {
	for seed := range uint64(100) {
		plain, plainStats := updatedEverywhere(t, seed, false)
		updated, stats := updatedEverywhere(t, seed, true)
		if !slices.Equal(plain, updated) {
			t.Fatalf("seed %d: callbacks came at\n%v, without at\n%v", seed, updated, plain)
		}
		if stats != plainStats {
			t.Fatalf("seed %d: counted\n%+v, without\n%+v", seed, stats, plainStats)
		}
	}
}

// updatedEverywhere has a loop do what is drawn from the seed, and returns at which times what was called.
func updatedEverywhere(t *testing.T, seed uint64, update bool) (calls []string, _ reactor.Stats) {
	sim := reactortest.New(t, reactor.Config{})
	loop, rng := sim.Loop, rand.New(rand.NewPCG(seed, 0))
	refresh := func() {
		if rng.IntN(2) == 0 && update && !loop.UpdateNow().Equal(sim.Clock.Wall()) {
			t.Errorf("seed %d: Now is %v, and the time %v", seed, loop.Now(), sim.Clock.Wall())
		}
	}
	left := 60
	var begin func()
	takesLong := func(kind string) func() {
		return func() {
			calls = append(calls, fmt.Sprint(kind, " ", sim.Clock.Monotonic()))
			refresh()
			sim.Clock.Advance(time.Millisecond >> rng.IntN(10) * time.Duration(rng.IntN(3)))
			refresh()
			begin()
		}
	}
	begin = func() {
		if left--; left < 0 {
			return
		}
		switch d := time.Millisecond * time.Duration(rng.IntN(4)); rng.IntN(5) {
		case 0:
			must(t, loop.Post(takesLong("post")))
		case 1, 2:
			loop.AfterFunc(d, takesLong("timer"))
		case 3:
			loop.At(sim.Clock.Wall().Add(d), takesLong("at"))
		case 4:
			sim.Clock.After(d, refresh) // amid the wait
			begin()
		}
	}
	slow := func() { sim.Clock.Advance(time.Duration(rng.IntN(2)) * time.Millisecond) }
	for _, hook := range []*reactor.Hook{loop.OnPrepare(refresh), loop.OnPrepare(slow), loop.OnCheck(refresh)} {
		hook.Unref()
	}
	begin()
	begin()
	for range 5 {
		must(t, loop.Poll(time.Millisecond))
		sim.Clock.Advance(time.Millisecond)
		refresh()
	}
	sim.Run()
	return calls, loop.Stats()
}
