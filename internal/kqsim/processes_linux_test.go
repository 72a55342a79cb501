package kqsim_test

import (
	"errors"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/exittest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// watchExit is the change that registers a process.
func watchExit(pid int) kevent.Event {
	c := change(pid, kevent.EVFILT_PROC, kevent.EV_ADD)
	c.Fflags = kevent.NOTE_EXIT
	return c
}

// TestProcessIsReportedWhenItBeginsToExitIfThatIsAQuirk, and can be waited for only
// when it has ended in any case.
func TestProcessIsReportedWhenItBeginsToExitIfThatIsAQuirk(t *testing.T) {
	for _, early := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{EarlyExit: early})
		p := exittest.Start(t)
		apply(t, q, watchExit(p.Process.Pid))
		wantCount(t, q, 0)
		p.Begin(t)
		if exited, err := waitpeek.Exited(p.Process.Pid); exited || err != nil {
			t.Fatalf("it can be waited for: %v, %v", exited, err)
		}
		if early {
			if ev := wantCount(t, q, 1)[0]; ev.Ident != uintptr(p.Process.Pid) || ev.Fflags != kevent.NOTE_EXIT || ev.Udata[0] != 7 {
				t.Errorf("got %+v", ev)
			}
		}
		wantCount(t, q, 0)
		p.End()
		if !early {
			got := await(t, q)
			if len(got) != 1 || got[0].Fflags != kevent.NOTE_EXIT {
				t.Errorf("got %+v", got)
			}
		}
		var status *exec.ExitError
		if err := p.Wait(); !errors.As(err, &status) || status.ExitCode() != exittest.Code {
			t.Errorf("Wait: %v", err)
		}
		wantCount(t, q, 0)
	}
}

// TestProcessThatBeginsToExitIsNoProcessIfThatIsAQuirk, or it is reported at once.
func TestProcessThatBeginsToExitIsNoProcessIfThatIsAQuirk(t *testing.T) {
	for _, refused := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{EarlyExit: true, ZombieESRCH: refused})
		p := exittest.Start(t)
		p.Begin(t)
		_, err := q.Kevent([]kevent.Event{watchExit(p.Process.Pid)}, nil, none)
		if refused && err != unix.ESRCH || !refused && err != nil {
			t.Errorf("refused %v: got %v", refused, err)
		}
		wantCount(t, q, map[bool]int{false: 1, true: 0}[refused])
	}
}

// TestZombieIsNotReportedIfThatIsAQuirk: it is registered, and that is all.
func TestZombieIsNotReportedIfThatIsAQuirk(t *testing.T) {
	for _, silent := range []bool{false, true} {
		q := newQueue(t, kqsim.Quirks{ZombieSilent: silent})
		p := exittest.Start(t)
		apply(t, q, watchExit(p.Process.Pid)) // one that runs is reported in any case
		p.Begin(t)
		p.End()
		got := await(t, q)
		if len(got) != 1 {
			t.Errorf("silent %v: got %+v", silent, got)
		}
		apply(t, q, watchExit(p.Process.Pid))
		wantCount(t, q, map[bool]int{false: 1, true: 0}[silent])
	}
}
