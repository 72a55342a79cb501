package child_test

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStoppedChildIsNotDead: SIGSTOP is no exit and no EOF; after SIGCONT it goes
// on where it was.
func TestStoppedChildIsNotDead(t *testing.T) {
	f := newFixture(t)
	k := f.start(shell("exec cat"))
	must(t, k.stream.Write([]byte("before ")))
	f.saw(k, "before ")
	must(t, k.Signal(syscall.SIGSTOP))
	awaitStopped(t, k.PID())
	must(t, k.stream.Write([]byte("after")))
	for range 20 {
		must(t, f.Poll(0))
	}
	if k.exits != 0 || k.eof || k.data != "before " {
		t.Errorf("while it is stopped: %d exits, EOF %v, data %q", k.exits, k.eof, k.data)
	}
	must(t, k.Signal(syscall.SIGCONT))
	f.saw(k, "after")
	must(t, k.Stop())
	f.until(k.ended)
	if !k.state.Success() {
		t.Errorf("it %v", k.state)
	}
}

// TestStoppedChildIsKilledByItsLadder: it reads no EOF and handles no SIGTERM.
func TestStoppedChildIsKilledByItsLadder(t *testing.T) {
	f := newFixture(t)
	config := shell("exec cat")
	config.Ladder = atOnce
	k := f.start(config)
	must(t, k.stream.Write([]byte("x")))
	f.saw(k, "x")
	must(t, k.Signal(syscall.SIGSTOP))
	awaitStopped(t, k.PID())
	must(t, k.Stop())
	f.until(k.ended)
	if k.state.Signal != syscall.SIGKILL && k.state.Signal != syscall.SIGTERM {
		t.Errorf("it %v", k.state)
	}
}

// awaitStopped waits until a child has been stopped by a signal.
func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		must(t, err)
		return
	}
}
