package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

func TestShutdownAnswersWhatWasAsked(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		var calls []*result
		for i := range 50 {
			calls = append(calls, f.begin(c, "echo", fmt.Sprint(i)))
		}
		c.Shutdown()
		if err := c.Go(nil, "echo"); err != rpc.ErrShutdown {
			t.Errorf("a call after Shutdown: %v", err)
		}
		f.until(w.ended)
		for i, r := range calls {
			if r.ends != 1 || r.err != nil || r.reply[0] != fmt.Sprint(i) {
				t.Fatalf("call %d ended %d times: %q, %v", i, r.ends, r.reply, r.err)
			}
		}
		if w.destroyed != 1 || w.failed != 0 {
			t.Errorf("OnDestroy was called %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
		}
	})
}

func TestShutdownWithNothingAskedEndsTheChild(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		f.connect(p, w.config(rpc.Config{})).Shutdown()
		must(t, f.Run(t.Context()))
		if w.destroyed != 1 || w.failed != 0 {
			t.Errorf("OnDestroy was called %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
		}
	})
}

// A child that answers and then does not exit is stopped by the ladder, which
// is no error: all was answered.
func TestShutdownStopsAChildThatStays(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.raw(child.Config{Ladder: atOnce}, write(hello), readFrame, readFrame, write(frame(1, "\x02ok")), wait)
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	r := f.begin(c, "something")
	c.Shutdown()
	f.until(w.ended)
	if r.err != nil || w.destroyed != 1 || w.failed != 0 {
		t.Errorf("the call: %v; OnDestroy %d times, OnError %d times with %v", r.err, w.destroyed, w.failed, w.err)
	}
}

func TestShutdownWaitReturnsWhenTheChildIsGone(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, rpc.Config{})
	f.background()
	must(t, c.ShutdownWait(t.Context()))
	if err := proc.Signal(0); !errors.Is(err, child.ErrExited) {
		t.Errorf("signalling the child: %v", err)
	}
	if err := c.ShutdownWait(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, err := c.Call(t.Context(), "echo"); !errors.Is(err, rpc.ErrShutdown) && !isLost(err) {
		t.Errorf("a call afterwards: %v", err)
	}
}

func isLost(err error) bool {
	var lost *rpc.LostError
	return errors.As(err, &lost)
}

func TestShutdownWaitReportsALoss(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.background()
	ctx := t.Context()
	called := make(chan error, 1)
	must(t, f.Do(ctx, func() {
		must(t, c.Go(func(_ rpc.Payload, err error) { called <- err }, "exit", "9"))
	}))
	err := c.ShutdownWait(ctx)
	if !isLost(err) || !strings.Contains(err.Error(), "exited with code 9") {
		t.Errorf("ShutdownWait returned %v", err)
	}
	if !isLost(<-called) {
		t.Error("the call was not lost")
	}
}

func TestShutdownWaitGivesUpWithItsContext(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{})
	f.background()
	must(t, f.Do(t.Context(), func() { f.begin(c, "hold") }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.ShutdownWait(ctx); err != context.Canceled {
		t.Errorf("ShutdownWait returned %v", err)
	}
}

func TestCloseEndsCallsWithErrClosed(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		_, err := f.ask(c, "echo")
		must(t, err)
		calls := []*result{f.begin(c, "echo", "a"), f.begin(c, "echo", "b")}
		must(t, f.Close())
		for i, r := range calls {
			if r.ends != 1 || r.err != nil && !errors.Is(r.err, rpc.ErrClosed) {
				t.Errorf("call %d ended %d times, with %v", i, r.ends, r.err)
			}
		}
		if w.destroyed+w.failed != 1 {
			t.Errorf("OnDestroy was called %d times, OnError %d times", w.destroyed, w.failed)
		}
		if _, err := c.Call(t.Context(), "echo"); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("Call after Close: %v", err)
		}
		if err := c.Go(nil, "echo"); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("Go after Close: %v", err)
		}
	})
}

func TestLoopShutdownAnswersWhatWasAsked(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		r := f.begin(c, "echo", "last")
		must(t, f.Shutdown(t.Context()))
		if r.ends != 1 || r.err != nil || r.reply[0] != "last" {
			t.Errorf("the call ended %d times: %q, %v", r.ends, r.reply, r.err)
		}
		if w.destroyed+w.failed != 1 {
			t.Errorf("OnDestroy was called %d times, OnError %d times", w.destroyed, w.failed)
		}
	})
}

// With nothing in flight, the way in which the child ended decides.
func TestEndWithoutCallsIsJudgedByTheExit(t *testing.T) {
	for _, code := range []int{0, 1} {
		t.Run(fmt.Sprint("code ", code), func(t *testing.T) {
			f := newFixture(t)
			var w watched
			f.client(f.raw(child.Config{}, write(hello), exit(code)), peer{}, w.config(rpc.Config{}))
			f.until(w.ended)
			if w.failed != code || w.destroyed != 1-code {
				t.Errorf("OnDestroy was called %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
			}
			var lost *rpc.LostError
			if code == 1 && (!errors.As(w.err, &lost) || lost.Started) {
				t.Errorf("OnError got %v", w.err)
			}
		})
	}
}

func TestLossCarriesExitCodeAndStderr(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		_, err := f.ask(f.connect(p, rpc.Config{}), "exit", "42")
		var lost *rpc.LostError
		var exit *child.ExitError
		if !errors.As(err, &lost) || !lost.Started || !errors.As(err, &exit) {
			t.Fatalf("the call ended with %v", err)
		}
		if exit.State.Code != 42 || !strings.Contains(err.Error(), "exited with code 42; stderr: exiting as told") {
			t.Errorf("the call ended with %v", err)
		}
	})
}

func TestLossCarriesTheSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			f := newFixture(t)
			_, err := f.ask(f.connect(pipes("sync"), rpc.Config{}), "signal", fmt.Sprint(int(sig)))
			var exit *child.ExitError
			if !errors.As(err, &exit) || exit.State.Signal != sig || exit.State.Code != -1 {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}

// stop stops a child and returns when all its threads have stopped.
func stop(t *testing.T, proc *child.Process) {
	t.Helper()
	must(t, proc.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(proc.PID(), &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("waiting for the stop: %v, %v", status, err)
	}
}

// lostCalls kills the child and returns which of the calls LostError
// says may have been started.
func (f *fixture) lostCalls(proc *child.Process, calls []*result) (started []bool) {
	f.t.Helper()
	must(f.t, proc.Kill())
	f.until(calls[len(calls)-1].ended)
	for i, r := range calls {
		var lost *rpc.LostError
		if r.ends != 1 || !errors.As(r.err, &lost) {
			f.t.Fatalf("call %d ended %d times, with %v", i, r.ends, r.err)
		}
		started = append(started, lost.Started)
	}
	return started
}

func TestCallsInOurBufferWereNotStarted(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{PipeSize: 4096}, write(hello), wait)
	c := f.client(proc, peer{}, rpc.Config{})
	calls := []*result{f.begin(c, strings.Repeat("x", 100_000)), f.begin(c, "behind it")}
	must(t, f.Poll(0))
	if got := f.lostCalls(proc, calls); got[0] || got[1] {
		t.Errorf("started: %v", got)
	}
}

func TestCallsInThePipeWereNotStarted(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, rpc.Config{})
	f.works(c)
	stop(t, proc)
	calls := []*result{f.begin(c, "echo", "a"), f.begin(c, "echo", "b")}
	f.until(func() bool { return f.Stats().Buffered == 0 })
	if got := f.lostCalls(proc, calls); got[0] || got[1] {
		t.Errorf("started: %v", got)
	}
}

// The child reads the hello, the first call, and the second but for its last byte.
func TestCallIsStartedWhenItsLastByteWasRead(t *testing.T) {
	f := newFixture(t)
	size := len(clientHello) + 2*len(frame(1, "\x05first")) - 1
	proc := f.raw(child.Config{}, write(hello), fmt.Sprint("read:", size), write(frame(0, "\x04read")), wait)
	var w watched
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	calls := []*result{f.begin(c, "first"), f.begin(c, "other"), f.begin(c, "third")}
	f.until(func() bool { return len(w.events) == 1 })
	if got := f.lostCalls(proc, calls); !got[0] || got[1] || got[2] {
		t.Errorf("started: %v", got)
	}
}

func TestCallBeforeRunWaitsForTheLoop(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Call(ctx, "echo"); !errors.Is(err, rpc.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	replied := make(chan error, 1)
	go func() {
		_, err := c.Call(t.Context(), "echo")
		replied <- err
		f.Post(func() {}) // so that the loop asks whether it may end
	}()
	f.until(func() bool { return len(replied) == 1 })
	must(t, <-replied)
}

func TestShutdownRefusesWaitingCalls(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 1})
	f.background()
	ctx := t.Context()
	must(t, f.Do(ctx, func() { f.begin(c, "hold") }))
	errs := make(chan error)
	for range 10 {
		go func() {
			_, err := c.Call(ctx, "echo")
			errs <- err
		}()
	}
	must(t, f.Do(ctx, c.Shutdown))
	for range 10 {
		if err := <-errs; err != rpc.ErrShutdown {
			t.Errorf("Call returned %v", err)
		}
	}
}
