package child_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// eachClaim runs a test with the transport opened and not.
func eachClaim(t *testing.T, test func(t *testing.T, f *fixture, start func(child.Config) *kid)) {
	t.Run("claimed", func(t *testing.T) {
		f := newFixture(t)
		test(t, f, f.start)
	})
	t.Run("unclaimed", func(t *testing.T) {
		f := newFixture(t)
		test(t, f, f.startUnclaimed)
	})
}

func TestCloseKillsAndReapsChildren(t *testing.T) {
	eachClaim(t, func(t *testing.T, f *fixture, start func(child.Config) *kid) {
		var kids []*kid
		for range 5 {
			kids = append(kids, start(steps("ignore-term", "wait")))
		}
		must(t, f.Close())
		for i, k := range kids {
			if k.exits != 1 || k.ends != 1 {
				t.Errorf("child %d: OnExit was called %d times, OnEnd %d times", i, k.exits, k.ends)
			}
			if !errors.Is(k.cause, reactor.ErrClosed) || k.state.Signal != syscall.SIGKILL || k.state.Asked != child.AskedByClose {
				t.Errorf("child %d: %v, it %v, asked for by %d", i, k.cause, k.state, k.state.Asked)
			}
			if err := k.Kill(); !errors.Is(err, child.ErrExited) {
				t.Errorf("child %d: Kill returned %v", i, err)
			}
			if err := k.Stop(); !errors.Is(err, reactor.ErrClosed) {
				t.Errorf("child %d: Stop returned %v", i, err)
			}
		}
	})
}

func TestShutdownStopsChildrenByTheirLadders(t *testing.T) {
	eachClaim(t, func(t *testing.T, f *fixture, start func(child.Config) *kid) {
		polite := start(steps("eof", "exit:5"))
		config := steps("wait")
		config.Ladder = child.Ladder{CloseWait: -1, TermWait: guard}
		deaf := start(config)
		must(t, f.Shutdown(t.Context()))
		if polite.state.Code != 5 || polite.state.Asked != child.AskedByStop {
			t.Errorf("the first %v, asked for by %d", polite.state, polite.state.Asked)
		}
		if deaf.state.Signal != syscall.SIGTERM || deaf.state.Asked != child.AskedByStop {
			t.Errorf("the second %v, asked for by %d", deaf.state, deaf.state.Asked)
		}
		if polite.ends != 1 || deaf.ends != 1 {
			t.Errorf("OnEnd was called %d and %d times", polite.ends, deaf.ends)
		}
	})
}

func TestShutdownThatIsGivenUpKills(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("ignore-term", "say:up", "wait"))
	f.saw(k, "up")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Shutdown(ctx); err != context.Canceled {
		t.Errorf("Shutdown returned %v", err)
	}
	if k.ends != 1 || k.state.Signal != syscall.SIGKILL {
		t.Errorf("OnEnd was called %d times, it %v", k.ends, k.state)
	}
}

func TestStartWhileShuttingDownIsRefused(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("eof"))
	var err error
	k.OnExit(func(child.ExitState) { _, err = child.Start(f.Loop, steps("wait")) })
	must(t, f.Shutdown(t.Context()))
	if !errors.Is(err, reactor.ErrClosed) {
		t.Errorf("Start returned %v", err)
	}
}

// After a panic the loop does not iterate any more: Close reaps without it.
func TestCloseAfterAPanicReapsChildren(t *testing.T) {
	eachClaim(t, func(t *testing.T, f *fixture, start func(child.Config) *kid) {
		k := start(steps("ignore-term", "stderr:up", "wait"))
		f.until(func() bool { return k.err.Len() > 0 })
		f.runIntoPanic()
		must(t, f.Close())
		if err := syscall.Kill(k.PID(), 0); err != syscall.ESRCH {
			t.Errorf("the process is there: %v", err)
		}
		if k.exits != 1 || k.ends != 1 || !errors.Is(k.cause, reactor.ErrClosed) {
			t.Errorf("OnExit was called %d times, OnEnd %d times, with %v", k.exits, k.ends, k.cause)
		}
	})
}

// runIntoPanic has a callback panic, by which the loop fails.
func (f *fixture) runIntoPanic() {
	f.t.Helper()
	f.AfterFunc(0, func() { panic("in a callback") })
	defer func() {
		if recover() == nil {
			f.t.Error("no panic has left Run")
		}
	}()
	f.Run(f.t.Context())
}

func TestRunReturnsWhenTheLastChildIsGone(t *testing.T) {
	f := newFixture(t)
	var kids []*kid
	for i := range 10 {
		kids = append(kids, f.start(steps(fmt.Sprint("exit:", i))))
	}
	must(t, f.Run(t.Context()))
	for i, k := range kids {
		if k.ends != 1 || k.state.Code != i {
			t.Errorf("child %d: OnEnd was called %d times, it %v", i, k.ends, k.state)
		}
	}
}

func TestChildrenMayBeStartedFromTheEndOfAnother(t *testing.T) {
	f := newFixture(t)
	n := 0
	var next func(child.ExitState)
	next = func(child.ExitState) {
		if n++; n < 10 {
			f.start(steps()).OnExit(next)
		}
	}
	f.start(steps()).OnExit(next)
	must(t, f.Run(t.Context()))
	if n != 10 {
		t.Errorf("%d children have ended", n)
	}
}

// Process.Signal, Kill and Stop may come from anywhere while the child ends.
func TestSignalsFromGoroutinesWhileTheChildEnds(t *testing.T) {
	f := newFixture(t)
	for range 20 {
		k := f.start(steps("eof"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.Stop()
			for k.Signal(syscall.SIGCONT) == nil {
			}
			k.Kill()
		}()
		f.until(k.ended)
		<-done
		if k.state.Code != 0 {
			t.Errorf("it %v", k.state)
		}
	}
}
