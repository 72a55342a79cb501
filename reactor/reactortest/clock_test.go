package reactortest_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor/reactortest"
)

func TestAdvanceMovesBothReadings(t *testing.T) {
	clock := reactortest.NewClock()
	wall := clock.Wall()
	clock.Advance(time.Hour)
	clock.Advance(-time.Minute) // never back
	if clock.Monotonic() != time.Hour || !clock.Wall().Equal(wall.Add(time.Hour)) {
		t.Errorf("%v, %v", clock.Monotonic(), clock.Wall())
	}
}

func TestSetWallLeavesMonotonicAlone(t *testing.T) {
	clock := reactortest.NewClock()
	for _, jump := range []time.Time{time.Unix(0, 0), time.Now()} {
		before := clock.Monotonic()
		clock.SetWall(jump)
		if clock.Monotonic() != before || !clock.Wall().Equal(jump) {
			t.Errorf("%v, %v", clock.Monotonic(), clock.Wall())
		}
		clock.Advance(time.Second)
		if got := clock.Wall().Sub(jump); got != time.Second {
			t.Errorf("the wall clock moved by %v from where it was set", got)
		}
	}
}

func TestPlansAreCarriedOutInTheOrderOfTheirTimes(t *testing.T) {
	clock := reactortest.NewClock()
	var got []string
	plan := func(d time.Duration, name string) {
		clock.After(d, func() { got = append(got, fmt.Sprint(name, "@", clock.Monotonic())) })
	}
	plan(2*time.Second, "c")
	plan(time.Second, "a")
	plan(time.Second, "b")
	plan(3*time.Second, "never")
	clock.After(0, func() { plan(-1, "zero") })
	if len(got) != 0 {
		t.Error("After carried it out itself")
	}
	clock.Advance(2 * time.Second)
	if want := "[zero@0s a@1s b@1s c@2s]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPlanMayAdvanceTheClockItself(t *testing.T) {
	clock := reactortest.NewClock()
	order := ""
	clock.After(time.Second, func() { clock.Advance(time.Hour); order += "long " })
	clock.After(time.Minute, func() { order += "meanwhile " })
	clock.Advance(2 * time.Second)
	if want := time.Hour + time.Second; clock.Monotonic() != want || order != "meanwhile long " {
		t.Errorf("at %v: %s", clock.Monotonic(), order)
	}
}

func TestClockStopsAtTheEndOfTime(t *testing.T) {
	clock := reactortest.NewClock()
	clock.Advance(time.Second)
	clock.Advance(math.MaxInt64)
	if clock.Monotonic() != math.MaxInt64 {
		t.Errorf("at %v", clock.Monotonic())
	}
	ran := false
	clock.After(math.MaxInt64, func() { ran = true })
	clock.Advance(0)
	if !ran {
		t.Error("what was planned for the end of time was not carried out there")
	}
}
