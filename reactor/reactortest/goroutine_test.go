package reactortest_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

func TestClockStandsStillForAGoroutine(t *testing.T) {
	sim := newSim(t)
	defer sim.Loop.Hold()()
	timer := sim.Loop.AfterFunc(time.Nanosecond, func() { t.Error("time has passed") })
	posted := 0
	for range 8 {
		sim.Poller.Go(func() {
			for range 100 {
				runtime.Gosched() // let the loop wait
			}
			sim.Loop.Post(func() {
				if posted++; posted == 8 {
					timer.Stop()
					sim.Loop.Stop()
				}
			})
		})
	}
	sim.Run()
	if posted != 8 || sim.Clock.Monotonic() != 0 {
		t.Errorf("%d posts ran, at %v", posted, sim.Clock.Monotonic())
	}
}

func TestTimePassesWhenTheLastGoroutineHasEnded(t *testing.T) {
	sim := newSim(t)
	started := make(chan struct{})
	sim.Poller.Go(func() { <-started })
	sim.Loop.AfterFunc(0, func() { close(started) })
	sim.Loop.AfterFunc(time.Hour, func() {})
	sim.Run()
	if sim.Clock.Monotonic() != time.Hour {
		t.Errorf("it is %v", sim.Clock.Monotonic())
	}
}

func TestReadinessFromAGoroutineEndsTheWait(t *testing.T) {
	sim := newSim(t)
	var w *reactor.FDWatcher
	seen := make(chan struct{})
	w = watch(t, sim, 5, reactor.Read, func(reactor.Ready) { w.Stop(); close(seen) })
	sim.Poller.Go(func() {
		sim.Poller.SetReady(5, reactor.Read)
		<-seen // still running: only the readiness can end the wait
	})
	sim.Run()
}

func TestContextCancelledInAGoroutineEndsRun(t *testing.T) {
	sim := newSim(t)
	defer sim.Loop.Hold()()
	ctx, cancel := context.WithCancel(context.Background())
	sim.Poller.Go(cancel)
	wantErr(t, sim.Loop.Run(ctx), context.Canceled)
}

func TestDeadlockIsFoundWhenTheGoroutinesHaveEnded(t *testing.T) {
	sim := newSim(t)
	defer sim.Loop.Hold()()
	for range 4 {
		sim.Poller.Go(func() {})
	}
	wantErr(t, sim.Loop.Run(context.Background()), reactortest.ErrDeadlock)
}

// TestLoopInABubble has goroutines that the Poller knows nothing of. Everybody's
// time is the bubble's.
func TestLoopInABubble(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		poller := reactortest.NewPoller(nil)
		loop, err := reactor.New(reactor.Config{Poller: poller})
		must(t, err)
		defer func() {
			must(t, loop.Verify())
			must(t, loop.Close())
		}()
		start := time.Now()
		at := func(want time.Duration) {
			t.Helper()
			if got := time.Since(start); got != want {
				t.Errorf("it is %v, want %v", got, want)
			}
		}
		timeout := loop.AfterFunc(time.Hour, func() { t.Error("the answer did not come") })
		var w *reactor.FDWatcher
		w, err = loop.WatchFD(5, reactor.Read, func(reactor.Ready) {
			at(2 * time.Minute)
			w.Stop()
			timeout.Stop()
		})
		must(t, err)
		loop.AfterFunc(time.Second, func() { at(time.Second) })
		go func() {
			time.Sleep(time.Minute)
			loop.Do(context.Background(), func() { at(time.Minute) })
			time.Sleep(time.Minute)
			poller.SetReady(5, reactor.Read)
		}()
		must(t, loop.Run(context.Background()))
		at(2 * time.Minute)
	})
}
