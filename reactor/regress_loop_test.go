package reactor_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// TestPostThatPanicsAndPostsItselfWaitsForTheNextIteration: the posts made meanwhile ran in
// the same iteration if the last one had panicked, which then never ended.
func TestPostThatPanicsAndPostsItselfWaitsForTheNextIteration(t *testing.T) {
	panics, posts := 0, 0
	loop := newLoopWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { panics++ }})
	var again func()
	again = func() {
		if posts++; posts < 100 {
			defer loop.Post(again)
		}
		panic("in a post")
	}
	must(t, loop.Post(again))
	for i := 1; i <= 3; i++ {
		if pollTimes(t, loop, 1); posts != i || panics != i {
			t.Fatalf("%d posts ran in %d iterations, with %d panics", posts, i, panics)
		}
	}
	for range 2000 { // more than a turn has
		must(t, loop.Post(func() { panic("in another") }))
	}
	if pollTimes(t, loop, 1); panics < 1000 || panics > 1100 {
		t.Errorf("%d posts ran in one iteration", panics)
	}
	posts = 100 // the last
	if pollTimes(t, loop, 3); panics != 2005 {
		t.Errorf("%d panics in all", panics)
	}
}

// TestSendAfterALoopFailedIsRefused: if something had been sent that the loop did not come to
// before it failed, every later Send said that it would be called.
func TestSendAfterALoopFailedIsRefused(t *testing.T) {
	loop := newLoop(t)
	async := loop.NewAsync(func() { t.Error("called") })
	stopped := loop.NewAsync(func() { t.Error("called") })
	loop.AfterFunc(0, func() {
		must(t, async.Send())
		must(t, async.Send()) // joined
		must(t, stopped.Send())
		stopped.Stop()
		panic("in a timer")
	})
	leaveRun(loop)
	for _, a := range []*reactor.Async{async, stopped} {
		wantErr(t, a.Send(), reactor.ErrClosed)
	}
	must(t, loop.Close())
	for _, a := range []*reactor.Async{async, stopped} {
		wantErr(t, a.Send(), reactor.ErrClosed)
	}
}

// TestInnerTimerOfTheLastPrepareHookIsNotMissed: a hook of the lowest priority came after the
// timer for the inner loop had been set, and the outer loop blocked for ever.
func TestInnerTimerOfTheLastPrepareHookIsNotMissed(t *testing.T) {
	h := newHosted(t)
	release := h.inner.Hold()
	settled, started := false, false
	last := h.outer.OnPrepare(func() {
		if settled && !started {
			started = true
			h.inner.AfterFunc(time.Millisecond, release)
		}
	})
	last.Stop()
	must(t, last.SetPriority(reactor.MinPriority))
	last.Start()
	last.Unref()
	h.outer.AfterFunc(time.Millisecond, func() { settled = true })
	run(t, h.outer)
	h.wantEnd(t, nil)
}

// TestCloseFromElsewhereWhileTheLoopFails: it read what the failing loop wrote, instead of
// seeing first that the loop was running.
func TestCloseFromElsewhereWhileTheLoopFails(t *testing.T) {
	leaktest.Check(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	running, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		loop.AfterFunc(0, func() { close(running) })
		loop.AfterFunc(time.Millisecond, func() { panic("in a timer") })
		leaveRun(loop)
	}()
	<-running
	for err = reactor.ErrNested; err == reactor.ErrNested; err = loop.Close() {
		runtime.Gosched()
	}
	must(t, err)
	<-left
	verify(t, loop)
}

// TestInnerTimerOfAWriteErrorBeforeTheWaitIsNotMissed: what a prepare hook writes is written when the
// timer for the inner loop had been set, and OnWriteError's timer there was not waited for.
func TestInnerTimerOfAWriteErrorBeforeTheWaitIsNotMissed(t *testing.T) {
	h := newHosted(t)
	release := h.inner.Hold()
	settled := false
	l := newLink(t, h.outer, fdtest.Transports()[0], func(*link) reactor.StreamConfig {
		return reactor.StreamConfig{OnWriteError: func(error) { h.inner.AfterFunc(time.Millisecond, release) }}
	})
	must(t, l.stream.Pause()) // it must not keep the outer loop running
	h.outer.OnPrepare(func() {
		if settled {
			settled = false
			l.peer.CloseRead()
			must(t, l.stream.Write([]byte("x")))
		}
	}).Unref()
	h.outer.AfterFunc(time.Millisecond, func() { settled = true })
	run(t, h.outer)
	h.wantEnd(t, nil)
}

// TestRunReturnsWhenAPrepareHookStopsTheLastWatcher: whether anything was left was asked before the
// hooks, and Run blocked for ever.
func TestRunReturnsWhenAPrepareHookStopsTheLastWatcher(t *testing.T) {
	loop := newLoop(t)
	last := loop.AfterFunc(time.Hour, func() { t.Error("called") })
	settled := false
	loop.OnPrepare(func() {
		if settled {
			last.Stop()
		}
	}).Unref()
	loop.AfterFunc(time.Millisecond, func() { settled = true })
	run(t, loop)
}

// patientResident owes callbacks until somebody says otherwise.
type patientResident struct {
	resident
	done bool
}

func (r *patientResident) Active() bool { return !r.done }

// TestShutdownGoesOnWhenAPrepareHookEndsWhatItWaitsFor: likewise.
func TestShutdownGoesOnWhenAPrepareHookEndsWhatItWaitsFor(t *testing.T) {
	loop := newLoop(t)
	r := &patientResident{}
	_, err := loop.Resident(residentKey(1), func() reactor.Resident { return r })
	must(t, err)
	settled := false
	loop.OnPrepare(func() { r.done = settled })
	loop.AfterFunc(time.Millisecond, func() { settled = true })
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	must(t, loop.Shutdown(ctx))
	r.wantCalls(t, "shutdown close release")
}
