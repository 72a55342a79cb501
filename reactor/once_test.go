package reactor_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// once starts a Once that notes what it is called with.
func once(t testing.TB, loop *reactor.Loop, fd int, interest reactor.Ready, timeout time.Duration, got *[]reactor.Ready) *reactor.Once {
	t.Helper()
	o, err := loop.Once(fd, interest, timeout, func(ready reactor.Ready) { *got = append(*got, ready) })
	must(t, err)
	t.Cleanup(func() { o.Stop() })
	return o
}

// wantReady expects exactly these calls.
func wantReady(t testing.TB, got []reactor.Ready, want ...reactor.Ready) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d calls, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("call %d with %q, want %q", i, reactor.ReadyString(got[i]), reactor.ReadyString(want[i]))
		}
	}
}

func TestOnceReportsReadinessAndIsDone(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var got []reactor.Ready
	o := once(t, loop, p.Read, reactor.Read, time.Hour, &got)
	if len(got) > 0 || !o.Active() {
		t.Errorf("%d calls inside Once, active %v", len(got), o.Active())
	}
	run(t, loop) // the timeout does not keep it
	wantReady(t, got, reactor.Read)
	pollTimes(t, loop, 2) // the pipe is still readable
	wantReady(t, got, reactor.Read)
	if o.Active() || loop.Stats().Timing != 0 {
		t.Errorf("active %v, %d timers", o.Active(), loop.Stats().Timing)
	}
}

func TestOnceReportsTheTimeoutAsNoReadiness(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got []reactor.Ready
	once(t, loop, p.Read, reactor.Read, time.Millisecond, &got)
	run(t, loop)
	p.Send(t, []byte("too late"))
	pollTimes(t, loop, 2)
	wantReady(t, got, 0)
}

// TestReadinessWinsOverATimeoutInTheSameIteration: the timeout is called first,
// and must not hide what is known already.
func TestReadinessWinsOverATimeoutInTheSameIteration(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var got []reactor.Ready
	once(t, loop, p.Read, reactor.Read|reactor.Write, 0, &got)
	pollTimes(t, loop, 2)
	wantReady(t, got, reactor.Read)
}

func TestOnceWithoutTimeoutWaits(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got []reactor.Ready
	o := once(t, loop, p.Read, reactor.Read, -1, &got)
	pollTimes(t, loop, 2)
	if loop.Stats().Timing != 0 || !o.Active() {
		t.Errorf("%d timers, active %v", loop.Stats().Timing, o.Active())
	}
	p.Send(t, []byte("x"))
	run(t, loop)
	wantReady(t, got, reactor.Read)
}

func TestOnceWithoutDescriptorIsATimeout(t *testing.T) {
	loop := newLoop(t)
	var got []reactor.Ready
	once(t, loop, -1, 0, time.Millisecond, &got)
	run(t, loop)
	wantReady(t, got, 0)
}

func TestStoppedOnceIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var got []reactor.Ready
	o := once(t, loop, p.Read, reactor.Read, 0, &got)
	must(t, o.Stop())
	must(t, o.Stop()) // harmless
	pollTimes(t, loop, 2)
	wantReady(t, got)
}

func TestOnceStoppedByAnEarlierCallbackIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var got []reactor.Ready
	var second *reactor.Once
	loop.AfterFunc(0, func() { must(t, second.Stop()) })
	second = once(t, loop, p.Read, reactor.Read, 0, &got)
	pollTimes(t, loop, 2)
	wantReady(t, got)
}

func TestOnceCanBeStartedAgainInItsCallback(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	var o *reactor.Once
	o, err := loop.Once(p.Read, reactor.Read, time.Hour, func(reactor.Ready) {
		if calls++; calls < 3 {
			must(t, o.Start())
			must(t, o.Start()) // harmless
		}
	})
	must(t, err)
	run(t, loop)
	if calls != 3 {
		t.Errorf("called %d times, want 3", calls)
	}
}

func TestFedOnceIsCalledWithWhatItWasFed(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got []reactor.Ready
	o := once(t, loop, p.Read, reactor.Read, time.Hour, &got)
	must(t, o.Feed(reactor.Read|reactor.Write))
	if !o.Pending() {
		t.Error("not pending after Feed")
	}
	wantErr(t, o.SetPriority(1), reactor.ErrPending)
	pollTimes(t, loop, 2)
	must(t, o.Start())
	must(t, o.Feed(0))
	pollTimes(t, loop, 2)
	wantReady(t, got, reactor.Read, 0)
	wantErr(t, o.Feed(reactor.Read), reactor.ErrNotActive)
}

func TestPriorityOrdersBothHalvesOfOnce(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1} {
		loop := newLoop(t)
		p := readyPipe(t)
		var got []string
		watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { got = append(got, "normal") })
		o, err := loop.Once(p.Read, reactor.Read, timeout, func(reactor.Ready) { got = append(got, "low") })
		must(t, err)
		must(t, o.SetPriority(reactor.MinPriority))
		wantErr(t, o.SetPriority(reactor.MinPriority-1), reactor.ErrInvalid)
		pollTimes(t, loop, 1)
		if len(got) != 2 || got[1] != "low" || o.Priority() != reactor.MinPriority {
			t.Errorf("called in the order %v, priority %d", got, o.Priority())
		}
	}
}

func TestDescriptorMayBeClosedInTheCallbackOfOnce(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	_, err := loop.Once(p.Read, reactor.Read, time.Hour, func(reactor.Ready) {
		calls++
		unix.Close(p.Read)
		p.Read = -1
	})
	must(t, err)
	run(t, loop)
	pollTimes(t, loop, 2)
	if calls != 1 || loop.Stats().Stale != 0 {
		t.Errorf("%d calls, %d stale events", calls, loop.Stats().Stale)
	}
}

func TestUnreferencedOnceDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got []reactor.Ready
	for _, fd := range []int{p.Read, -1} {
		o := once(t, loop, fd, reactor.Read, time.Hour, &got)
		if refs := loop.Stats().Refs; refs != 1 {
			t.Errorf("%d references, want 1", refs)
		}
		o.Unref()
		run(t, loop)
		o.Ref()
		must(t, o.Stop())
	}
	wantReady(t, got)
}

func TestOnceRefusesWhatItCannotWaitFor(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	never := func(reactor.Ready) { t.Error("called") }
	_, err := loop.Once(-1, reactor.Read, -1, never)
	wantErr(t, err, reactor.ErrInvalid)
	_, err = loop.Once(p.Read, 0, time.Second, never)
	wantErr(t, err, reactor.ErrInvalid)
	_, err = loop.Once(1<<20, reactor.Read, time.Second, never)
	wantErr(t, err, unix.EBADF)
	if n := loop.Stats().Timing; n != 0 {
		t.Errorf("%d timers are left of what was refused", n)
	}
	must(t, loop.Close())
	_, err = loop.Once(p.Read, reactor.Read, time.Second, never)
	wantErr(t, err, reactor.ErrClosed)
}

// Readiness that a wait had not reported, because much else was ready, was lost to the timeout, which came first.
func TestReadinessGoesBeforeTheTimeoutOfOnceThoughManyAreReady(t *testing.T) {
	loop, clock := newHandLoop(t)
	var got, timedOut []reactor.Ready
	for range 100 { // the first wait reports 32
		once(t, loop, readyPipe(t).Read, reactor.Read, time.Minute, &got)
	}
	once(t, loop, pipe(t).Read, reactor.Read, time.Minute, &timedOut)
	clock.now += time.Hour
	pollTimes(t, loop, 1)
	wantReady(t, timedOut, 0)
	wantReady(t, got, slices.Repeat([]reactor.Ready{reactor.Read}, 100)...)
}
