package reactor_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// hosted is a loop inside another one, and how that ended.
type hosted struct {
	outer, inner *reactor.Loop
	hosting      *reactor.Hosting
	ends         []error
}

// newHostable makes a loop that can be hosted. Its descriptor is opened now, so that
// the leak checks of loops that are made later do not count it as theirs.
func newHostable(t *testing.T, config reactor.Config) *reactor.Loop {
	t.Helper()
	loop := newLoopWith(t, config)
	if _, err := loop.FD(); errors.Is(err, reactor.ErrUnsupported) {
		t.Skip("this poller has no descriptor")
	}
	return loop
}

func newHosted(t *testing.T) *hosted {
	t.Helper()
	return newHostedWith(t, reactor.Config{}, reactor.Config{})
}

func newHostedWith(t *testing.T, outer, inner reactor.Config) *hosted {
	t.Helper()
	h := &hosted{inner: newHostable(t, inner)}
	h.outer = newLoopWith(t, outer)
	h.host(t)
	return h
}

func (h *hosted) host(t *testing.T) {
	t.Helper()
	hosting, err := h.outer.Host(h.inner, func(err error) { h.ends = append(h.ends, err) })
	must(t, err)
	h.hosting = hosting
}

// hostDeep hosts a third loop; where descriptors do not nest that deep, the test is
// skipped.
func hostDeep(t *testing.T, middle, innermost *reactor.Loop, done func(error)) {
	t.Helper()
	_, err := middle.Host(innermost, done)
	if errors.Is(err, unix.ELOOP) {
		t.Skip("three loops do not fit into each other:", err)
	}
	must(t, err)
}

// wantEnd checks that the hosting ended once, and how.
func (h *hosted) wantEnd(t testing.TB, want error) {
	t.Helper()
	if len(h.ends) != 1 || !errors.Is(h.ends[0], want) {
		t.Errorf("ended with %v, want once with %v", h.ends, want)
	}
	if h.hosting.Active() {
		t.Error("it is still active")
	}
}

func TestHostingEndsWhenNothingIsLeft(t *testing.T) {
	h := newHosted(t)
	fired := 0
	h.inner.AfterFunc(2*time.Millisecond, func() { fired++ })
	h.inner.AfterFunc(0, func() { fired++ })
	run(t, h.outer)
	h.wantEnd(t, nil)
	if fired != 2 {
		t.Errorf("%d of 2 timers fired", fired)
	}
	h.ends = nil
	h.host(t) // again, with nothing to do
	run(t, h.outer)
	h.wantEnd(t, nil)
}

func TestHostingBeginsInTheNextIteration(t *testing.T) {
	h := newHosted(t)
	h.inner.Post(func() {})
	if n := h.inner.Stats(); n.Iterations != 0 || len(h.ends) != 0 {
		t.Errorf("%d iterations inside Host", n.Iterations)
	}
	run(t, h.outer)
	h.wantEnd(t, nil)
	if n := h.inner.Stats().Posts; n != 1 {
		t.Errorf("%d of 1 posts ran", n)
	}
}

func TestStopOfTheInnerLoopEndsHosting(t *testing.T) {
	h := newHosted(t)
	defer h.inner.Hold()()
	for name, stop := range map[string]func(){
		"before":                 h.inner.Stop,
		"inside, by a timer":     func() { h.inner.AfterFunc(2*time.Millisecond, h.inner.Stop) },
		"outside, by a timer":    func() { h.outer.AfterFunc(0, h.inner.Stop) },
		"from another goroutine": func() { go h.inner.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			if h.ends = nil; !h.hosting.Active() {
				h.host(t)
			}
			stop()
			run(t, h.outer)
			h.wantEnd(t, nil)
		})
	}
}

// TestHostIsWokenFromOtherGoroutines would block for ever if one wake-up were lost.
func TestHostIsWokenFromOtherGoroutines(t *testing.T) {
	h := newHosted(t)
	var waker sync.WaitGroup
	for range 300 {
		if h.ends = nil; !h.hosting.Active() {
			h.host(t)
		}
		ran := false
		release := h.inner.Hold()
		waker.Go(func() {
			h.inner.Post(func() { ran = true })
			release()
		})
		run(t, h.outer)
		waker.Wait()
		if !ran || len(h.ends) != 1 {
			t.Fatalf("ran %v, %d ends", ran, len(h.ends))
		}
	}
}

func TestHostRunsEverythingOfTheInnerLoop(t *testing.T) {
	h := newHosted(t)
	ours, theirs := fdtest.Pipes(t)
	defer theirs.Close()
	got := ""
	var s *reactor.Stream
	s, err := h.inner.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		OnData: func(data []byte) {
			got += string(data)
			h.outer.AfterFunc(0, func() { s.Close() }) // not inside an iteration of its own loop
		},
		OnClose: func(error) { got += " closed" },
	})
	must(t, err)
	must(t, s.Write([]byte("question"))) // queued outside an iteration
	var peer *reactor.FDWatcher
	peer = watch(t, h.outer, theirs.Read, reactor.Read, func(reactor.Ready) {
		if asked, _ := theirs.Available(t); string(asked) != "question" {
			t.Errorf("the other side has %q", asked)
		}
		theirs.Send(t, []byte("answer"))
		peer.Stop()
	})
	idle := 0
	h.outer.AfterFunc(0, func() {
		var hook *reactor.Hook
		hook = h.inner.OnIdle(func() {
			if idle++; idle == 3 {
				hook.Stop()
			}
		})
	})
	run(t, h.outer)
	h.wantEnd(t, nil)
	if got != "answer closed" || idle != 3 {
		t.Errorf("got %q, %d idle calls", got, idle)
	}
}

// TestTimerStartedByTheOuterLoopMovesTheHostsDeadline: the inner loop is not
// polled in between, and nothing makes its descriptor readable.
func TestTimerStartedByTheOuterLoopMovesTheHostsDeadline(t *testing.T) {
	h := newHosted(t)
	far := h.inner.AfterFunc(time.Hour, func() { t.Error("the far timer fired") })
	near := false
	h.outer.AfterFunc(0, func() {
		start := time.Now()
		h.inner.AfterFunc(2*time.Millisecond, func() {
			near = true
			if took := time.Since(start); took < 2*time.Millisecond {
				t.Errorf("fired after %v", took)
			}
			h.outer.AfterFunc(0, far.Stop) // the end, found out without a poll
		})
	})
	run(t, h.outer)
	h.wantEnd(t, nil)
	if !near {
		t.Error("the near timer did not fire")
	}
}

// TestHostInsideAHost: the innermost loop's timer is started while nobody polls
// the loop in the middle.
func TestHostInsideAHost(t *testing.T) {
	h := newHosted(t)
	innermost := newLoop(t)
	var order string
	hostDeep(t, h.inner, innermost, func(error) { order += " end" })
	release := innermost.Hold()
	h.outer.AfterFunc(time.Millisecond, func() {
		innermost.AfterFunc(time.Millisecond, func() {
			order += "timer"
			release()
		})
		if at, ok := h.inner.NextDeadline(); !ok || at.After(time.Now().Add(time.Millisecond)) {
			t.Errorf("the middle loop's deadline is %v, %v", at, ok)
		}
	})
	run(t, h.outer)
	h.wantEnd(t, nil)
	if order != "timer end" {
		t.Errorf("order: %s", order)
	}
}

func TestHostDoesNotSpin(t *testing.T) {
	h := newHosted(t)
	p := pipe(t)
	watch(t, h.inner, p.Read, reactor.Read, func(reactor.Ready) { p.Available(t) }).Unref()
	const rounds = 50
	release := h.inner.Hold()
	count := 0
	tick := h.outer.Every(0, 200*time.Microsecond, func() {
		if count++; count%2 == 0 {
			p.Send(t, []byte("x"))
		} else {
			h.inner.AfterFunc(50*time.Microsecond, func() {})
		}
		if count == rounds {
			release()
		}
	})
	tick.Unref()
	run(t, h.outer)
	h.wantEnd(t, nil)
	tick.Stop()
	// Each round is a tick, what it caused, and the kernel's second thought about
	// whether the nested set is still readable.
	if n := h.outer.Stats().Iterations; n > 8*rounds {
		t.Errorf("%d iterations of the outer loop for %d rounds", n, rounds)
	}
	if n := h.inner.Stats().Iterations; n > 6*rounds {
		t.Errorf("%d iterations of the inner loop for %d rounds", n, rounds)
	}
}

func TestStoppedHostingLeavesTheInnerLoopUsable(t *testing.T) {
	h := newHosted(t)
	fired := false
	h.inner.AfterFunc(0, func() { fired = true })
	h.hosting.Stop()
	h.hosting.Stop() // harmless
	run(t, h.outer)
	if fired || h.hosting.Active() || len(h.ends) != 0 {
		t.Errorf("fired %v, active %v, ends %v", fired, h.hosting.Active(), h.ends)
	}
	run(t, h.inner)
	if !fired {
		t.Error("the inner loop did not run by itself")
	}
}

func TestHostingStoppedByAnInnerCallback(t *testing.T) {
	h := newHosted(t)
	h.inner.AfterFunc(0, h.hosting.Stop)
	later := h.inner.AfterFunc(time.Hour, func() {})
	run(t, h.outer) // or waits for an hour
	if len(h.ends) != 0 {
		t.Errorf("done was called with %v", h.ends)
	}
	later.Stop()
}

func TestUnreferencedHostingDoesNotKeepTheOuterLoopRunning(t *testing.T) {
	h := newHosted(t)
	release := h.inner.Hold()
	h.hosting.Unref()
	run(t, h.outer) // or blocks for ever
	h.hosting.Ref()
	h.outer.AfterFunc(time.Millisecond, release)
	run(t, h.outer)
	h.wantEnd(t, nil)
}

func TestErrorOfTheInnerLoopEndsHosting(t *testing.T) {
	h := newHosted(t)
	defer h.inner.Hold()()
	h.outer.AfterFunc(time.Millisecond, func() { must(t, h.inner.Close()) })
	run(t, h.outer)
	h.wantEnd(t, reactor.ErrClosed)
}

func TestPanicOfAnInnerCallbackIsTheOuterLoops(t *testing.T) {
	var panics []*reactor.Panic
	h := newHostedWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { panics = append(panics, p) }}, reactor.Config{})
	h.inner.AfterFunc(0, func() { panic("expected") })
	run(t, h.outer)
	h.wantEnd(t, reactor.ErrClosed) // it has failed
	if len(panics) != 1 || panics[0].Value != "expected" {
		t.Errorf("panics: %v", panics)
	}
}

func TestPanicOfAnInnerCallbackMayStayInside(t *testing.T) {
	panics := 0
	h := newHostedWith(t, reactor.Config{}, reactor.Config{OnPanic: func(*reactor.Panic) { panics++ }})
	fired := false
	h.inner.AfterFunc(0, func() { panic("expected") })
	h.inner.AfterFunc(time.Millisecond, func() { fired = true })
	run(t, h.outer)
	h.wantEnd(t, nil)
	if panics != 1 || !fired {
		t.Errorf("%d panics, fired %v", panics, fired)
	}
}

func TestClosingTheOuterLoopLeavesTheInnerOne(t *testing.T) {
	h := newHosted(t)
	fired := false
	h.inner.AfterFunc(0, func() { fired = true })
	must(t, h.outer.Close())
	if h.hosting.Active() {
		t.Error("the hosting is active")
	}
	h.hosting.Stop() // harmless
	run(t, h.inner)
	if !fired || len(h.ends) != 0 {
		t.Errorf("fired %v, ends %v", fired, h.ends)
	}
}

func TestHostRefuses(t *testing.T) {
	inner := newHostable(t, reactor.Config{})
	outer, closed := newLoop(t), newLoop(t)
	must(t, closed.Close())
	_, err := outer.Host(outer, nil)
	wantErr(t, err, reactor.ErrInvalid)
	_, err = outer.Host(closed, nil)
	wantErr(t, err, reactor.ErrClosed)
	_, err = closed.Host(inner, nil)
	wantErr(t, err, reactor.ErrClosed)
	sim := reactortest.New(t, reactor.Config{})
	_, err = outer.Host(sim.Loop, nil)
	wantErr(t, err, reactor.ErrUnsupported)
	sim.Poller.FailNext(reactortest.Add, unix.ENOSPC)
	_, err = sim.Loop.Host(inner, nil)
	wantErr(t, err, unix.ENOSPC) // and, says the check for leaks, leaves nothing open
}

// TestLoopsCannotHostEachOther, not even by way of a third.
func TestLoopsCannotHostEachOther(t *testing.T) {
	h := newHosted(t)
	innermost := newLoop(t)
	hostDeep(t, h.inner, innermost, nil)
	_, err := h.inner.Host(h.outer, nil)
	wantErr(t, err, reactor.ErrInvalid)
	_, err = innermost.Host(h.outer, nil)
	wantErr(t, err, reactor.ErrInvalid)
	run(t, h.outer)
	h.wantEnd(t, nil)
}

func TestHostWithoutDone(t *testing.T) {
	inner := newHostable(t, reactor.Config{})
	outer := newLoop(t)
	_, err := outer.Host(inner, nil)
	must(t, err)
	run(t, outer)
}

func TestInnerLoopsGoroutinesGetTheirTurnBeforeTheOuterLoopBlocks(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	h := newHosted(t)
	questions, rounds := make(chan struct{}), 0
	release := h.inner.Hold()
	var helper sync.WaitGroup
	answer := func() {
		if rounds++; rounds == 100 {
			close(questions)
			release()
			return
		}
		h.inner.Yielding()
		questions <- struct{}{}
	}
	helper.Go(func() {
		for range questions {
			h.inner.Post(answer)
		}
	})
	h.inner.Post(answer)
	run(t, h.outer)
	helper.Wait()
	h.wantEnd(t, nil)
	// Now and then the scheduler has something else to do than the helper.
	if n := h.outer.Stats().Blocked; n > 90 {
		t.Errorf("the outer loop blocked %d times in %d rounds", n, rounds)
	}
}

// TestHostedLoopInsideAParkedOne is both kinds of hosting at once.
func TestHostedLoopInsideAParkedOne(t *testing.T) {
	inner := newParkable(t)
	outer := newParkable(t)
	ended := false
	_, err := outer.Host(inner, func(error) { ended = true })
	must(t, err)
	release := inner.Hold()
	var poster sync.WaitGroup
	poster.Go(func() {
		defer release()
		for range 100 {
			inner.Do(context.Background(), func() {})
		}
	})
	runParked(t, outer)
	poster.Wait()
	if !ended {
		t.Error("the hosting did not end")
	}
}

// TestResumedOuterLoopIsNotLateForTheInnerOne: the time that the outer loop was
// suspended for is not the inner one's.
func TestResumedOuterLoopIsNotLateForTheInnerOne(t *testing.T) {
	clock := &handClock{}
	h := newHostedWith(t, reactor.Config{Clock: clock}, reactor.Config{Clock: clock})
	h.inner.AfterFunc(time.Hour, func() {})
	pollTimes(t, h.outer, 3)
	h.outer.Suspend()
	clock.now += 40 * time.Minute
	h.outer.Resume()
	at, ok := h.outer.NextDeadline()
	if want := clock.Wall().Add(20 * time.Minute); !ok || !at.Equal(want) {
		t.Errorf("the outer loop's deadline is %v, %v; want %v", at, ok, want)
	}
}
