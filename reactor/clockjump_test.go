package reactor_test

import (
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

func TestJumpForwardMakesOverdueWatchersFireOnce(t *testing.T) {
	loop, clock := clockLoop(t)
	once, hourly := 0, 0
	loop.At(noon.Add(time.Hour), func() { once++ })
	p, err := loop.EveryWall(0, time.Hour, func() { hourly++ })
	must(t, err)
	clock.wall = noon.Add(5*time.Hour + 15*time.Minute)
	loop.WallJumped()
	wantCalls(t, loop, &once, 1)
	wantCalls(t, loop, &hourly, 1)
	if p.Remaining() != 45*time.Minute {
		t.Errorf("%v remain, want 45m", p.Remaining())
	}
	verify(t, loop)
}

func TestJumpForwardBringsNearWhatIsNotOverdue(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	loop.At(noon.Add(time.Hour), func() { calls++ })
	clock.wall = noon.Add(time.Hour - time.Second)
	loop.WallJumped()
	wantCalls(t, loop, &calls, 0)
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 1)
}

func TestJumpBackMakesTimesComeAgain(t *testing.T) {
	loop, clock := clockLoop(t)
	once, hourly := 0, 0
	loop.At(noon.Add(time.Hour), func() { once++ })
	p, err := loop.EveryWall(0, time.Hour, func() { hourly++ })
	must(t, err)
	clock.wall = noon.Add(-2*time.Hour - time.Minute)
	loop.WallJumped()
	if p.Remaining() != time.Minute {
		t.Errorf("%v remain, want 1m", p.Remaining())
	}
	clock.pass(time.Minute)
	wantCalls(t, loop, &hourly, 1)
	clock.pass(3*time.Hour - 1)
	wantCalls(t, loop, &once, 0)
	clock.pass(1)
	wantCalls(t, loop, &once, 1)
}

// TestJumpBackTakesBackWhatIsPending: what was due when the iteration began need
// not be due when its turn comes.
func TestJumpBackTakesBackWhatIsPending(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	jump := loop.AfterFunc(time.Second, func() {
		clock.wall = noon
		loop.WallJumped()
	})
	must(t, jump.SetPriority(reactor.MaxPriority))
	loop.At(noon.Add(time.Second), func() { calls++ })
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 0)
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 1)
}

// TestJumpIsFoundByComparingTheClocks: nobody tells, and no watcher fires.
func TestJumpIsFoundByComparingTheClocks(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	loop.At(noon.Add(time.Hour), func() { calls++ })
	clock.wall = noon.Add(2 * time.Hour)
	wantCalls(t, loop, &calls, 0)
	clock.pass(30 * time.Second)
	wantCalls(t, loop, &calls, 1)
}

func TestFiringFindsAJump(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	loop.At(noon.Add(time.Second), func() {})
	loop.At(noon.Add(time.Hour), func() { calls++ })
	clock.pass(time.Second)
	clock.wall = noon.Add(2 * time.Hour)
	wantCalls(t, loop, &calls, 1)
}

func TestResumeLetsWallClockWatchersCatchUp(t *testing.T) {
	loop, clock := clockLoop(t)
	wall, relative := 0, 0
	loop.At(noon.Add(time.Hour), func() { wall++ })
	loop.AfterFunc(time.Hour, func() { relative++ })
	loop.Suspend()
	clock.pass(time.Hour)
	loop.Resume()
	wantCalls(t, loop, &wall, 1)
	wantCalls(t, loop, &relative, 0)
}

func TestWatcherStoppedByAScheduleDuringAJump(t *testing.T) {
	loop, clock := clockLoop(t)
	var victims []*reactor.Periodic
	asked := 0
	for range 3 {
		loop.Periodic(func(now time.Time) time.Time {
			if asked++; asked > 3 {
				for _, v := range victims {
					v.Stop()
				}
				return now // the schedule is over
			}
			return now.Add(time.Hour)
		}, func() { t.Error("called") })
	}
	for range 3 {
		victims = append(victims, loop.At(noon.Add(time.Hour), func() { t.Error("called") }))
	}
	loop.WallJumped()
	verify(t, loop)
	clock.pass(2 * time.Hour)
	pollTimes(t, loop, 2)
	run(t, loop) // nothing is left
}

// TestScheduleThatStopsItsOwnWatcherStopsIt: it must not, but no harm comes of it.
func TestScheduleThatStopsItsOwnWatcherStopsIt(t *testing.T) {
	loop, clock := clockLoop(t)
	var p *reactor.Periodic
	p = loop.Periodic(func(now time.Time) time.Time {
		if p != nil {
			p.Stop()
		}
		return now.Add(time.Second)
	}, func() {})
	clock.pass(time.Second)
	pollTimes(t, loop, 1)
	if p.Active() {
		t.Error("active after Stop")
	}
	verify(t, loop)
	p.Start()
	if p.Active() {
		t.Error("started by a schedule that stops")
	}
	verify(t, loop)
}

func TestNothingLooksForJumpsWithoutWallClockWatchers(t *testing.T) {
	loop, _ := clockLoop(t)
	first := loop.At(noon.Add(time.Hour), func() {})
	second := loop.At(noon.Add(time.Hour), func() {})
	if n := loop.Stats().Timing; n != 3 {
		t.Errorf("%d timers, want two and the one that looks", n)
	}
	first.Stop()
	verify(t, loop)
	second.Stop()
	if n := loop.Stats().Timing; n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

// TestWhatIsDueIsCalledInTheIterationThatLooksForJumps: the look put off to the next what was pending behind it.
func TestWhatIsDueIsCalledInTheIterationThatLooksForJumps(t *testing.T) {
	loop, clock := clockLoop(t)
	calls := 0
	p := loop.At(noon.Add(30*time.Second), func() { calls++ })
	clock.pass(30 * time.Second)
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
	p.Stop()
}
