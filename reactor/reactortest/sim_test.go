package reactortest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// newSim makes a simulation that must leave nothing behind.
func newSim(t *testing.T) *reactortest.Sim {
	t.Helper()
	leaktest.Check(t)
	return reactortest.New(t, reactor.Config{})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// watch watches a descriptor that does not exist.
func watch(t testing.TB, sim *reactortest.Sim, fd int, interest reactor.Ready, fn func(reactor.Ready)) *reactor.FDWatcher {
	t.Helper()
	w, err := sim.Loop.WatchFD(fd, interest, fn)
	must(t, err)
	return w
}

func TestWaitTakesExactlyAsLongAsTheTimer(t *testing.T) {
	sim := newSim(t)
	for _, d := range []time.Duration{1, time.Millisecond, time.Hour, 1000 * time.Hour, 1} {
		start := sim.Clock.Monotonic()
		now := sim.Loop.Now()
		fired := false
		sim.Loop.AfterFunc(d, func() {
			fired = true
			if took := sim.Clock.Monotonic() - start; took != d {
				t.Errorf("the timer of %v fired after %v", d, took)
			}
		})
		sim.Run()
		if !fired {
			t.Errorf("the timer of %v did not fire", d)
		}
		if got := sim.Loop.Now().Sub(now); got != d {
			t.Errorf("Now moved by %v, want %v", got, d)
		}
	}
}

func TestPollTakesItsTimeout(t *testing.T) {
	sim := newSim(t)
	must(t, sim.Loop.Poll(time.Minute))
	must(t, sim.Loop.Poll(0))
	sim.Loop.AfterFunc(time.Second, func() {})
	must(t, sim.Loop.Poll(time.Minute))
	if want := time.Minute + time.Second; sim.Clock.Monotonic() != want {
		t.Errorf("it is %v, want %v", sim.Clock.Monotonic(), want)
	}
}

func TestCallbackTakesTheTimeOfAdvance(t *testing.T) {
	leaktest.Check(t)
	var took time.Duration
	sim := reactortest.New(t, reactor.Config{
		SlowThreshold: time.Second,
		OnSlow:        func(s reactor.SlowCallback) { took = s.Took },
	})
	ticks := ""
	tick := sim.Loop.Every(time.Second, time.Second, func() { ticks += fmt.Sprint(sim.Clock.Monotonic(), " ") })
	tick.Unref()
	sim.Loop.AfterFunc(1500*time.Millisecond, func() { sim.Clock.Advance(3 * time.Second) })
	sim.Loop.AfterFunc(6*time.Second, func() {})
	sim.Run()
	if took != 3*time.Second {
		t.Errorf("the slow callback took %v", took)
	}
	// Late by two periods and a half: called once, in phase again.
	if want := "1s 4.5s 5s 6s "; ticks != want {
		t.Errorf("ticks at %s, want %s", ticks, want)
	}
}

func TestPlanHappensWhileTheLoopWaits(t *testing.T) {
	sim := newSim(t)
	var read *reactor.FDWatcher
	read = watch(t, sim, 7, reactor.Read, func(reactor.Ready) {
		if sim.Clock.Monotonic() != time.Minute {
			t.Errorf("called at %v", sim.Clock.Monotonic())
		}
		read.Stop()
	})
	sim.Loop.AfterFunc(time.Hour, func() {}).Unref()
	sim.Clock.After(time.Minute, func() { sim.Poller.SetReady(7, reactor.Read) })
	sim.Run()
}

func TestPlanMayPostAndStop(t *testing.T) {
	sim := newSim(t)
	defer sim.Loop.Hold()()
	posted := false
	sim.Clock.After(time.Minute, func() { sim.Loop.Post(func() { posted = true }) })
	sim.Clock.After(time.Hour, sim.Loop.Stop)
	sim.Run()
	if !posted || sim.Clock.Monotonic() != time.Hour {
		t.Errorf("posted %v, ended at %v", posted, sim.Clock.Monotonic())
	}
}

func TestWaitForEverIsADeadlock(t *testing.T) {
	sim := newSim(t)
	a := watch(t, sim, 12, reactor.Read|reactor.Write, func(reactor.Ready) {})
	b := watch(t, sim, 3, reactor.HangUp, func(reactor.Ready) {})
	err := sim.Loop.Run(context.Background())
	wantErr(t, err, reactortest.ErrDeadlock)
	for _, part := range []string{"fd 12 for read|write", "fd 3 for hangup"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	a.Stop()
	b.Stop()
	release := sim.Loop.Hold()
	wantErr(t, sim.Loop.Run(context.Background()), reactortest.ErrDeadlock)
	wantErr(t, sim.Loop.Poll(-1), reactortest.ErrDeadlock)
	release()
	sim.Run() // no harm was done
}

func TestTimeoutBeyondTheEndOfTime(t *testing.T) {
	sim := newSim(t)
	sim.Clock.Advance(time.Second)
	timer := sim.Loop.AfterFunc(math.MaxInt64, func() {})
	must(t, sim.Loop.Poll(math.MaxInt64))
	if sim.Clock.Monotonic() != math.MaxInt64 {
		t.Errorf("it is %v", sim.Clock.Monotonic())
	}
	timer.Stop()
}

func TestWallClockJumpMovesNoTimer(t *testing.T) {
	sim := newSim(t)
	sim.Loop.AfterFunc(time.Hour, func() {
		if sim.Clock.Monotonic() != time.Hour {
			t.Errorf("fired after %v", sim.Clock.Monotonic())
		}
	})
	before := sim.Loop.Now()
	sim.Clock.After(time.Minute, func() { sim.Clock.SetWall(sim.Clock.Wall().AddDate(1, 0, 0)) })
	sim.Clock.After(time.Minute, func() { sim.Clock.SetWall(time.Unix(0, 0)) })
	sim.Run()
	if got := sim.Loop.Now().Sub(before); got != time.Hour {
		t.Errorf("Now moved by %v", got)
	}
	if want := time.Unix(0, 0).Add(59 * time.Minute); !sim.Clock.Wall().Equal(want) {
		t.Errorf("the wall clock says %v, want %v", sim.Clock.Wall(), want)
	}
}

// TestSameTestRunsTheSameWay has a few hundred watchers in a tangle.
func TestSameTestRunsTheSameWay(t *testing.T) {
	trace := func() (lines []string) {
		sim := newSim(t)
		note := func(what string, n int) {
			lines = append(lines, fmt.Sprintf("%v %d %s %d", sim.Clock.Monotonic(), sim.Loop.Stats().Iterations, what, n))
		}
		for i := range 100 {
			var w *reactor.FDWatcher
			w = watch(t, sim, i, reactor.Read, func(reactor.Ready) {
				note("fd", i)
				w.Stop()
				sim.Loop.Post(func() { note("post", i) })
			})
			sim.Loop.AfterFunc(time.Duration(i%7)*time.Second, func() {
				note("timer", i)
				sim.Poller.Pulse((i*37+1)%100, reactor.Read)
			})
			sim.Clock.After(time.Duration(i%11)*time.Second, func() { sim.Poller.SetReady(i, reactor.Read) })
		}
		sim.Run()
		return lines
	}
	first := trace()
	if len(first) != 300 {
		t.Errorf("%d callbacks, want 300", len(first))
	}
	for range 3 {
		if again := trace(); strings.Join(again, "\n") != strings.Join(first, "\n") {
			t.Fatalf("once\n%s\nand then\n%s", strings.Join(first, "\n"), strings.Join(again, "\n"))
		}
	}
}

func TestHostIsToldThatThereIsNoDescriptor(t *testing.T) {
	_, err := newSim(t).Loop.FD()
	wantErr(t, err, reactor.ErrUnsupported)
}

func TestSimClosesTheLoopWhenTheTestEnds(t *testing.T) {
	leaktest.Check(t)
	var loop *reactor.Loop
	t.Run("inner", func(t *testing.T) {
		loop = reactortest.New(t, reactor.Config{BusyPoll: time.Hour}).Loop
		must(t, loop.Poll(time.Hour)) // does not poll for an hour
	})
	wantErr(t, loop.Poll(0), reactor.ErrClosed)
}
