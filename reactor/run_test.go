package reactor_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

func TestRunReturnsWhenNothingIsLeft(t *testing.T) {
	loop := newLoop(t)
	must(t, loop.Run(context.Background()))
	fired := false
	loop.AfterFunc(0, func() { fired = true })
	must(t, loop.Run(context.Background()))
	if !fired {
		t.Error("Run returned before the last timer")
	}
}

func TestStopEndsRunAtTheEndOfTheIteration(t *testing.T) {
	loop := newLoop(t)
	posted := false
	timer := loop.Every(0, time.Nanosecond, func() {
		loop.Post(func() { posted = true })
		loop.Stop()
	})
	run(t, loop)
	if !posted {
		t.Error("the iteration was not finished")
	}
	timer.Stop()
}

func TestStopBeforeRunEndsTheNextRunOnce(t *testing.T) {
	loop := newLoop(t)
	fired := false
	loop.AfterFunc(0, func() { fired = true })
	loop.Stop()
	loop.Stop() // twice counts once
	run(t, loop)
	if fired {
		t.Error("the first Run did not return at once")
	}
	run(t, loop)
	if !fired {
		t.Error("the second Run did")
	}
}

func TestStopFromAnotherGoroutineEndsABlockedRun(t *testing.T) {
	loop := newLoop(t)
	defer loop.Hold()()
	var stopper sync.WaitGroup
	for range 200 {
		stopper.Go(loop.Stop)
		run(t, loop) // or blocks for ever
		stopper.Wait()
	}
}

func TestRunMayBeCalledAgainAfterStop(t *testing.T) {
	loop := newLoop(t)
	count := 0
	timer := loop.Every(0, time.Nanosecond, func() { count++; loop.Stop() })
	for want := range 3 {
		run(t, loop)
		if count != want+1 {
			t.Errorf("fired %d times in %d runs", count, want+1)
		}
	}
	timer.Stop()
}

func TestRunReturnsTheContextsError(t *testing.T) {
	loop := newLoop(t)
	defer loop.Hold()()
	ctx, cancel := context.WithCancel(context.Background())
	loop.AfterFunc(0, cancel)
	wantErr(t, loop.Run(ctx), context.Canceled)
	wantErr(t, loop.Run(ctx), context.Canceled) // done before
	expired, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	wantErr(t, loop.Run(expired), context.DeadlineExceeded)
}

func TestContextCancelledElsewhereEndsABlockedRun(t *testing.T) {
	loop := newLoop(t)
	defer loop.Hold()()
	var canceller sync.WaitGroup
	for range 200 {
		ctx, cancel := context.WithCancel(context.Background())
		canceller.Go(cancel)
		wantErr(t, loop.Run(ctx), context.Canceled) // or blocks for ever
		canceller.Wait()
	}
}

func TestNestedCallsAreRefused(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(*reactor.Loop) error{
		"Run":      func(l *reactor.Loop) error { return l.Run(ctx) },
		"RunUntil": func(l *reactor.Loop) error { return l.RunUntil(ctx, func() bool { return true }) },
		"Poll":     func(l *reactor.Loop) error { return l.Poll(0) },
		"Close":    func(l *reactor.Loop) error { return l.Close() },
		"Shutdown": func(l *reactor.Loop) error { return l.Shutdown(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			called := 0
			loop.AfterFunc(0, func() { called++; wantErr(t, call(loop), reactor.ErrNested) })
			run(t, loop)
			loop.AfterFunc(0, func() { called++ })
			run(t, loop) // no harm was done
			if called != 2 {
				t.Errorf("%d of two callbacks ran", called)
			}
		})
	}
}

func TestRunFromAnotherGoroutineIsRefusedMeanwhile(t *testing.T) {
	loop := newLoop(t)
	done := make(chan error)
	loop.AfterFunc(0, func() {
		go func() { done <- loop.Run(context.Background()) }()
		wantErr(t, <-done, reactor.ErrNested)
	})
	run(t, loop)
}

func TestRunUntilAsksBeforeEveryIteration(t *testing.T) {
	loop := newLoop(t)
	ctx := context.Background()
	before := loop.Stats().Iterations
	must(t, loop.RunUntil(ctx, func() bool { return true }))
	if n := loop.Stats().Iterations - before; n != 0 {
		t.Errorf("%d iterations though the condition was true", n)
	}
	count := 0
	timer := loop.Every(0, time.Nanosecond, func() { count++ })
	must(t, loop.RunUntil(ctx, func() bool { return count == 3 }))
	if count != 3 {
		t.Errorf("%d iterations", count)
	}
	timer.Stop()
}

func TestRunUntilTellsThatTheConditionCannotComeTrue(t *testing.T) {
	loop := newLoop(t)
	loop.AfterFunc(0, func() {})
	wantErr(t, loop.RunUntil(context.Background(), func() bool { return false }), reactor.ErrNothingLeft)
}

func TestRunUntilEndsWithStopAndContext(t *testing.T) {
	loop := newLoop(t)
	never := func() bool { return false }
	loop.Stop()
	must(t, loop.RunUntil(context.Background(), never))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantErr(t, loop.RunUntil(ctx, never), context.Canceled)
}

func TestPollRunsOneIteration(t *testing.T) {
	loop := newLoop(t)
	for _, timeout := range []time.Duration{0, time.Nanosecond, time.Millisecond} {
		before := loop.Stats().Iterations
		must(t, loop.Poll(timeout))
		if n := loop.Stats().Iterations - before; n != 1 {
			t.Errorf("Poll(%v) ran %d iterations", timeout, n)
		}
	}
}

func TestPollOfANegativeTimeoutWaitsForAnEvent(t *testing.T) {
	loop := newLoop(t)
	var poster sync.WaitGroup
	ran := false
	poster.Go(func() { loop.Post(func() { ran = true }) })
	for !ran { // an iteration may bring nothing
		must(t, loop.Poll(-1))
	}
	poster.Wait()
}

func TestStopEndsABlockedPollAndIsLeftForRun(t *testing.T) {
	loop := newLoop(t)
	defer loop.Hold()()
	var stopper sync.WaitGroup
	for range 200 {
		stopper.Go(loop.Stop)
		must(t, loop.Poll(-1)) // or blocks for ever
		stopper.Wait()
		run(t, loop) // or blocks for ever
	}
}

// TestStopFromManyGoroutinesCountsOnce: whatever is left of them ends at most one
// later Run.
func TestStopFromManyGoroutinesCountsOnce(t *testing.T) {
	loop := newLoop(t)
	var stoppers sync.WaitGroup
	for range 16 {
		stoppers.Go(loop.Stop)
	}
	stoppers.Wait()
	release := loop.Hold()
	run(t, loop)
	release()
	fired := false
	loop.AfterFunc(0, func() { fired = true })
	run(t, loop)
	if !fired {
		t.Error("a second Run was ended")
	}
}

func TestHoldKeepsRunUntilReleased(t *testing.T) {
	loop := newLoop(t)
	release := loop.Hold()
	var holder sync.WaitGroup
	released := false
	holder.Go(func() {
		loop.Post(func() { released = true })
		release()
		release() // harmless
	})
	run(t, loop)
	if !released {
		t.Error("Run did not wait for the release")
	}
	holder.Wait()
	if refs := loop.Stats().Refs; refs != 0 {
		t.Errorf("%d references are left", refs)
	}
}

func TestReleaseWakesABlockedRun(t *testing.T) {
	loop := newLoop(t)
	var holder sync.WaitGroup
	for range 200 {
		holder.Go(loop.Hold())
		run(t, loop) // or blocks for ever
		holder.Wait()
	}
}

// TestIterationHasItsOrder is the numbered list of the package documentation.
func TestIterationHasItsOrder(t *testing.T) {
	loop := newLoop(t)
	var order []string
	note := func(what string) { order = append(order, what) }

	ours, theirs := fdtest.Pipes(t)
	defer theirs.Close()
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(error) { note("deferred") }})
	must(t, err)
	out := pipe(t)
	w, err := loop.NewStream(-1, fdtest.Dup(t, out.Write), reactor.StreamConfig{})
	must(t, err)
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {
		note("descriptor")
		s.Close()
		w.Write([]byte("x"))
	})
	loop.AfterFunc(0, func() { note("timer") })
	loop.Post(func() {
		note(fmt.Sprintf("post, flushed %v", fdtest.Readable(t, out.Read)))
	})
	busyUntil(time.Now().Add(time.Microsecond))
	pollTimes(t, loop, 1)
	note(fmt.Sprintf("end, flushed %v", fdtest.Readable(t, out.Read)))
	want := "[timer descriptor deferred post, flushed false end, flushed true]"
	if got := fmt.Sprint(order); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNowStandsStillDuringAnIteration(t *testing.T) {
	loop := newLoop(t)
	created := loop.Now()
	var first time.Time
	loop.AfterFunc(0, func() {
		first = loop.Now()
		if first.Before(created) || first.After(time.Now()) {
			t.Errorf("Now is %v", first)
		}
		busyUntil(time.Now().Add(time.Millisecond))
		if !loop.Now().Equal(first) {
			t.Error("it moved")
		}
		loop.AfterFunc(0, func() {
			if !loop.Now().After(first) {
				t.Error("it stands still in the next iteration, too")
			}
		})
	})
	run(t, loop)
}

// newBusyLoop makes a loop that polls for an hour before it blocks.
func newBusyLoop(t *testing.T) *reactor.Loop {
	t.Helper()
	loop := newLoop(t)
	loop.SetBusyPoll(time.Hour)
	return loop
}

// With one CPU nobody can make what is polled for.
func TestBusyPollIsForSeveralCPUs(t *testing.T) {
	want := time.Microsecond
	if reactor.OneCPU {
		want = 0
	}
	loop := newLoopWith(t, reactor.Config{BusyPoll: time.Microsecond})
	if d := loop.BusyPoll(); d != want {
		t.Errorf("it polls for %v, want %v", d, want)
	}
}

// TestBusyPollSeesAPostWithoutBlocking would block at once if it did not poll.
func TestBusyPollSeesAPostWithoutBlocking(t *testing.T) {
	loop := newBusyLoop(t)
	release := loop.Hold()
	var poster sync.WaitGroup
	poster.Go(func() { loop.Post(release) })
	run(t, loop)
	poster.Wait()
	if n := loop.Stats().Blocked; n != 0 {
		t.Errorf("blocked %d times", n)
	}
}

func TestBusyPollSeesAnEventWithoutBlocking(t *testing.T) {
	loop := newBusyLoop(t)
	p := pipe(t)
	var w *reactor.FDWatcher
	w = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { w.Stop() })
	var writer sync.WaitGroup
	writer.Go(func() { p.Send(t, []byte("x")) })
	run(t, loop)
	writer.Wait()
	if n := loop.Stats().Blocked; n != 0 {
		t.Errorf("blocked %d times", n)
	}
}

func TestBusyPollEndsWithTheTimer(t *testing.T) {
	loop := newBusyLoop(t)
	start := time.Now()
	loop.AfterFunc(time.Millisecond, func() {
		if took := time.Since(start); took < time.Millisecond {
			t.Errorf("fired after %v", took)
		}
	})
	run(t, loop)
	if n := loop.Stats().Blocked; n != 0 {
		t.Errorf("blocked %d times", n)
	}
}

func TestBusyPollEndsWithStopAndContext(t *testing.T) {
	loop := newBusyLoop(t)
	defer loop.Hold()()
	var other sync.WaitGroup
	other.Go(loop.Stop)
	run(t, loop)
	ctx, cancel := context.WithCancel(context.Background())
	other.Go(cancel)
	wantErr(t, loop.Run(ctx), context.Canceled)
	other.Wait()
	if n := loop.Stats().Blocked; n != 0 {
		t.Errorf("blocked %d times", n)
	}
}

// TestLoopBlocksWhenBusyPollIsOver: polling for ever would be one way to see
// everything. The hour that it blocks for is not a real one, so the polling takes
// nothing from it; once it did, and the rest of the hour never came.
func TestLoopBlocksWhenBusyPollIsOver(t *testing.T) {
	clock := reactortest.NewClock()
	loop := newLoopWith(t, reactor.Config{Clock: clock, Poller: reactortest.NewPoller(clock)})
	loop.SetBusyPoll(time.Microsecond)
	loop.AfterFunc(time.Hour, func() {})
	run(t, loop)
	if n := loop.Stats().Blocked; n == 0 {
		t.Error("never blocked")
	}
}
