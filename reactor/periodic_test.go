package reactor_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// noon is where the tests' wall clock begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// twoClocks is a pair of clocks that move when the test moves them.
type twoClocks struct {
	monotonic time.Duration
	wall      time.Time
}

func (c *twoClocks) Monotonic() time.Duration { return c.monotonic }
func (c *twoClocks) Wall() time.Time          { return c.wall }

// pass lets time go by, on both.
func (c *twoClocks) pass(d time.Duration) {
	c.monotonic += d
	c.wall = c.wall.Add(d)
}

// clockLoop makes a loop with a clock that shows noon.
func clockLoop(t testing.TB) (*reactor.Loop, *twoClocks) {
	t.Helper()
	clock := &twoClocks{wall: noon}
	return newLoopWith(t, reactor.Config{Clock: clock}), clock
}

// wantCalls polls and expects fn to have been called that often since the last time.
func wantCalls(t testing.TB, loop *reactor.Loop, calls *int, want int) {
	t.Helper()
	pollTimes(t, loop, 2)
	if *calls != want {
		t.Errorf("called %d times, want %d", *calls, want)
	}
	*calls = 0
}

func TestAtFiresOnceWhenTheWallClockShowsTheTime(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	p := loop.At(noon.Add(time.Hour), func() { calls++ })
	if p.Remaining() != time.Hour || !p.Next().Equal(noon.Add(time.Hour)) || !p.Active() {
		t.Errorf("remaining %v, next %v, active %v", p.Remaining(), p.Next(), p.Active())
	}
	clock.pass(time.Hour - 1)
	wantCalls(t, loop, &calls, 0)
	clock.pass(1)
	wantCalls(t, loop, &calls, 1)
	if p.Active() || p.Remaining() != 0 || !p.Next().IsZero() {
		t.Errorf("after firing: active %v, remaining %v, next %v", p.Active(), p.Remaining(), p.Next())
	}
	clock.pass(time.Hour)
	wantCalls(t, loop, &calls, 0)
}

func TestAtOfThePastFiresInTheNextIteration(t *testing.T) {
	loop, _ := clockLoop(t)
	calls := 0
	p := loop.At(noon.Add(-time.Hour), func() { calls++ })
	if calls != 0 || p.Remaining() != 0 {
		t.Errorf("called %d times inside At, %v remain", calls, p.Remaining())
	}
	wantCalls(t, loop, &calls, 1)
}

func TestAtIsNeverEarlyOnTheRealClock(t *testing.T) {
	loop := newLoop(t)
	for _, d := range []time.Duration{-1, 0, 1, 999, time.Microsecond, time.Millisecond - 1, time.Millisecond + 1} {
		at := time.Now().Add(d).Round(0)
		loop.At(at, func() {
			if now := time.Now().Round(0); now.Before(at) {
				t.Errorf("fired at %v, %v early", now, at.Sub(now))
			}
		})
		run(t, loop)
	}
}

// TestTimerThatRunsOffBeforeTheWallClockWaitsOn: the two clocks need not run at
// the same speed.
func TestTimerThatRunsOffBeforeTheWallClockWaitsOn(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	p := loop.At(noon.Add(time.Second), func() { calls++ })
	clock.monotonic += time.Second
	clock.wall = noon.Add(time.Second - time.Millisecond)
	wantCalls(t, loop, &calls, 0)
	if !p.Active() || p.Remaining() != time.Millisecond {
		t.Errorf("active %v, %v remain", p.Active(), p.Remaining())
	}
	clock.pass(time.Millisecond)
	wantCalls(t, loop, &calls, 1)
}

func TestPeriodicFiresAtTheTimesOfItsSchedule(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	sixOClock := func(now time.Time) time.Time {
		six := time.Date(now.Year(), now.Month(), now.Day(), 6, 0, 0, 0, now.Location())
		if !six.After(now) {
			six = six.AddDate(0, 0, 1)
		}
		return six
	}
	p := loop.Periodic(sixOClock, func() { calls++ })
	clock.pass(18*time.Hour - 1)
	wantCalls(t, loop, &calls, 0)
	for range 3 {
		clock.pass(1)
		wantCalls(t, loop, &calls, 1)
		if p.Remaining() != 24*time.Hour {
			t.Errorf("%v remain, want a day", p.Remaining())
		}
		clock.pass(24*time.Hour - 1)
		wantCalls(t, loop, &calls, 0)
	}
}

func TestPeriodicWhoseScheduleEndsIsStopped(t *testing.T) {
	loop, clock := clockLoop(t)
	calls, left := 0, 2
	p := loop.Periodic(func(now time.Time) time.Time {
		if left == 0 {
			return now
		}
		left--
		return now.Add(time.Second)
	}, func() { calls++ })
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 1)
	verify(t, loop)
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 1)
	if p.Active() {
		t.Error("active after the last time")
	}
	if never := loop.Periodic(func(time.Time) time.Time { return time.Time{} }, func() { t.Error("called") }); never.Active() {
		t.Error("active without any time")
	}
	run(t, loop) // nothing is left
}

func TestEveryWallFiresAtMultiplesOfItsInterval(t *testing.T) {
	for _, c := range []struct {
		offset, interval, first time.Duration // first: after noon, which is a full hour
	}{
		{0, time.Hour, time.Hour},
		{0, 7 * time.Minute, time.Minute}, // see below
		{10 * time.Minute, time.Hour, 10 * time.Minute},
		{-10 * time.Minute, time.Hour, 50 * time.Minute},
		{25 * time.Hour, time.Hour, time.Hour},
		{1, time.Hour, 1},
	} {
		t.Run(fmt.Sprint(c.offset, " ", c.interval), func(t *testing.T) {
			loop, _ := clockLoop(t)
			p, err := loop.EveryWall(c.offset, c.interval, func() {})
			must(t, err)
			rest := time.Duration(p.Next().Add(-c.offset).UnixNano()) % c.interval
			if rest != 0 || p.Remaining() <= 0 || p.Remaining() > c.interval {
				t.Errorf("next %v: %v beyond a multiple, %v remain", p.Next(), rest, p.Remaining())
			}
			if c.interval == time.Hour && p.Remaining() != c.first {
				t.Errorf("%v remain, want %v", p.Remaining(), c.first)
			}
		})
	}
}

func TestEveryWallBefore1970KeepsItsPhase(t *testing.T) {
	clock := &twoClocks{wall: time.Date(1969, 12, 31, 23, 10, 0, 0, time.UTC)}
	loop := newLoopWith(t, reactor.Config{Clock: clock})
	p, err := loop.EveryWall(0, time.Hour, func() {})
	must(t, err)
	if p.Remaining() != 50*time.Minute {
		t.Errorf("%v remain, want 50m", p.Remaining())
	}
}

func TestEveryWallKeepsItsPhaseHoweverFarItsOffset(t *testing.T) {
	loop, clock := clockLoop(t)
	clock.wall = clock.wall.Add(7 * time.Minute)
	const far = 2_500_000 * time.Hour // from there to now is more than a Duration holds
	for _, offset := range []time.Duration{-far, far} {
		p, err := loop.EveryWall(offset, time.Hour, func() {})
		must(t, err)
		if want := clock.wall.Truncate(time.Hour).Add(time.Hour); !p.Next().Equal(want) {
			t.Errorf("offset %v: next is %v, want %v", offset, p.Next(), want)
		}
		p.Stop()
	}
}

func TestEveryWallRefusesAnIntervalThatIsNotPositive(t *testing.T) {
	loop := newLoop(t)
	for _, interval := range []time.Duration{0, -1} {
		_, err := loop.EveryWall(0, interval, func() { t.Error("called") })
		wantErr(t, err, reactor.ErrInvalid)
	}
}

func TestPeriodicThatIsLateBySeveralTimesFiresOnceAndKeepsItsPhase(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	p, err := loop.EveryWall(0, time.Minute, func() { calls++ })
	must(t, err)
	clock.pass(5*time.Minute + 20*time.Second)
	wantCalls(t, loop, &calls, 1)
	if p.Remaining() != 40*time.Second {
		t.Errorf("%v remain, want 40s", p.Remaining())
	}
}

func TestStopInsideOwnCallbackEndsAPeriodic(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	var p *reactor.Periodic
	p, err := loop.EveryWall(0, time.Minute, func() { calls++; p.Stop() })
	must(t, err)
	clock.pass(time.Minute)
	wantCalls(t, loop, &calls, 1)
	clock.pass(time.Minute)
	wantCalls(t, loop, &calls, 0)
	p.Start()
	p.Start() // harmless
	clock.pass(time.Minute)
	wantCalls(t, loop, &calls, 1)
}

func TestPeriodicStoppedByAnEarlierCallbackIsNotCalled(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	var second *reactor.Periodic
	loop.At(noon.Add(time.Second), func() { calls++; second.Stop() })
	second = loop.At(noon.Add(2*time.Second), func() { t.Error("called") })
	clock.pass(3 * time.Second)
	wantCalls(t, loop, &calls, 1)
}

func TestUnreferencedPeriodicDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	p := loop.At(time.Now().Add(time.Hour), func() { t.Error("called") })
	p.Unref()
	run(t, loop)
	p.Ref()
	if refs := loop.Stats().Refs; refs != 1 {
		t.Errorf("%d references after Ref, want 1", refs)
	}
}

func TestFedPeriodicIsCalledBeforeItsTime(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	once := loop.At(noon.Add(time.Hour), func() { calls++ })
	must(t, once.Feed())
	wantCalls(t, loop, &calls, 1)
	wantErr(t, once.Feed(), reactor.ErrNotActive)
	hourly, err := loop.EveryWall(0, time.Hour, func() { calls++ })
	must(t, err)
	must(t, hourly.Feed())
	loop.WallJumped() // must not lose it
	wantCalls(t, loop, &calls, 1)
	if hourly.Remaining() != time.Hour {
		t.Errorf("%v remain, want 1h", hourly.Remaining())
	}
	must(t, hourly.Feed())
	hourly.Stop()
	hourly.Start()
	wantCalls(t, loop, &calls, 0)
	clock.pass(time.Hour)
	wantCalls(t, loop, &calls, 1)
}

func TestPriorityOrdersPeriodics(t *testing.T) {
	loop, clock := clockLoop(t)
	var got []string
	loop.At(noon.Add(time.Second), func() { got = append(got, "normal") })
	high := loop.At(noon.Add(time.Second), func() { got = append(got, "high") })
	must(t, high.SetPriority(reactor.MaxPriority))
	clock.pass(time.Second)
	pollTimes(t, loop, 1)
	if fmt.Sprint(got) != "[high normal]" {
		t.Errorf("got %v", got)
	}
}

// A schedule that panicked took the call away, too, whose time had come.
func TestPanicOfAScheduleStopsItsWatcherAfterItsCall(t *testing.T) {
	clock := &twoClocks{wall: noon}
	var heard []any
	loop := newLoopWith(t, reactor.Config{Clock: clock, OnPanic: func(p *reactor.Panic) { heard = append(heard, p.Value) }})
	fine, calls := true, 0
	p := loop.Periodic(func(now time.Time) time.Time {
		if !fine {
			panic("no more times")
		}
		return now.Add(time.Second)
	}, func() { calls++; panic("in the callback") })
	fine = false
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 1)
	clock.pass(time.Hour)
	wantCalls(t, loop, &calls, 0)
	if !slices.Equal(heard, []any{"no more times", "in the callback"}) || p.Active() {
		t.Errorf("panics %v, active %v", heard, p.Active())
	}
	func() {
		defer func() { heard = append(heard, recover()) }()
		p.Start()
	}()
	if len(heard) != 3 || heard[2] != "no more times" || p.Active() {
		t.Errorf("started again: panics %v, active %v", heard, p.Active())
	}
	verify(t, loop)
}

// Of several schedules that panicked over the same jump only the last was heard of.
func TestPanicsOfSeveralSchedulesAreAllHeardOf(t *testing.T) {
	clock := &twoClocks{wall: noon}
	var heard []*reactor.Panic
	loop := newLoopWith(t, reactor.Config{Clock: clock, OnPanic: func(p *reactor.Panic) { heard = append(heard, p) }})
	jumped := false
	for i := range 3 {
		loop.Periodic(func(now time.Time) time.Time {
			if jumped {
				panic(i)
			}
			return now.Add(24 * time.Hour)
		}, func() { t.Error("called") })
	}
	clock.wall = noon.Add(time.Hour)
	jumped = true
	loop.Post(loop.WallJumped)
	pollTimes(t, loop, 2)
	if len(heard) != 3 {
		t.Fatalf("%d panics were heard of", len(heard))
	}
	for i, p := range heard {
		if p.Value != 2-i || p.Kind != "post" || !bytes.Contains(p.Stack, []byte("TestPanicsOfSeveralSchedules")) {
			t.Errorf("%v, of %q, at %s", p.Value, p.Kind, p.Stack)
		}
	}
	verify(t, loop)
}

func TestPanicOfAScheduleDoesNotKeepOthersFromFollowingAJump(t *testing.T) {
	for name, jump := range map[string]func(loop *reactor.Loop, clock *twoClocks){
		"told":               func(loop *reactor.Loop, _ *twoClocks) { loop.Post(loop.WallJumped) },
		"found by comparing": func(_ *reactor.Loop, clock *twoClocks) { clock.monotonic += 10 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			clock := &twoClocks{wall: noon}
			panics, calls, jumped := 0, 0, false
			loop := newLoopWith(t, reactor.Config{Clock: clock, OnPanic: func(*reactor.Panic) { panics++ }})
			at := func() { loop.At(noon.Add(10*time.Second), func() { calls++ }) }
			at()
			loop.Periodic(func(now time.Time) time.Time {
				if jumped {
					panic("no more times")
				}
				return now.Add(24 * time.Hour)
			}, func() { t.Error("called") })
			at() // one before the schedule and one behind it, in whatever order they are told
			clock.wall = noon.Add(time.Hour)
			jumped = true
			jump(loop, clock)
			wantCalls(t, loop, &calls, 2)
			if panics != 1 {
				t.Errorf("%d panics", panics)
			}
			verify(t, loop)
		})
	}
}
