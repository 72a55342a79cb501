package poller_test

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/exittest"
	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/poller"
)

// What the suite cannot have happen on every poller.

// TestExitThatIsUnderWayIsReported: such a process cannot be waited for yet, and is
// refused by some kernels as one that does not exist.
func TestExitThatIsUnderWayIsReported(t *testing.T) {
	for _, quirks := range []kqsim.Quirks{{EarlyExit: true}, {EarlyExit: true, ZombieESRCH: true}} {
		leaktest.Check(t)
		kq := open(t, constructor{open: simulated(quirks)})
		p := kq.(poller.ProcessPoller)
		child := exittest.Start(t)
		child.Begin(t)
		for gen := range uint32(2) {
			must(t, p.AddProcess(child.Process.Pid, gen))
			expect(t, p, exitOf(child.Cmd, gen))
			expectQuiet(t, p)
		}
		if got, err := unix.Wait4(child.Process.Pid, nil, unix.WNOHANG, nil); got != 0 || err != nil {
			t.Fatalf("it can be waited for: %d, %v", got, err)
		}
		child.End()
		var status *exec.ExitError
		if err := child.Wait(); !errors.As(err, &status) || status.ExitCode() != exittest.Code {
			t.Errorf("Wait: %v", err)
		}
		if err := p.AddProcess(child.Process.Pid, 3); !errors.Is(err, unix.ESRCH) {
			t.Errorf("after it was reaped: got %v, want ESRCH", err)
		}
	}
}

// TestModifyOfAClosedDescriptorIsAHangUp with every word that a kernel has for it.
func TestModifyOfAClosedDescriptorIsAHangUp(t *testing.T) {
	for _, quirks := range []kqsim.Quirks{{}, {ClosedFD: kqsim.NotCapable}} {
		leaktest.Check(t)
		p := open(t, constructor{open: simulated(quirks)})
		ends := pipe(t)
		must(t, p.Add(ends.Read, 1, poller.Read))
		expectQuiet(t, p)
		must(t, p.Modify(ends.Read, 2, poller.Read))
		number := ends.Read
		ends.CloseRead()
		expect(t, p, event(number, 2, everything))
		must(t, p.Remove(number))
		expectQuiet(t, p)
	}
}

// TestFilterThatWentWithItsDescriptorIsNoHangUp: its deletion comes too late.
func TestFilterThatWentWithItsDescriptorIsNoHangUp(t *testing.T) {
	for _, quirks := range []kqsim.Quirks{{}, {ClosedFD: kqsim.NotCapable}} {
		leaktest.Check(t)
		p := open(t, constructor{open: simulated(quirks)})
		fd, peer := fdtest.Socketpair(t)
		defer unix.Close(peer)
		must(t, p.Add(fd, 1, poller.Read|poller.Write))
		expect(t, p, event(fd, 1, poller.Write))
		must(t, p.Modify(fd, 1, poller.Read))
		must(t, unix.Close(fd))
		expectQuiet(t, p)
		must(t, p.Remove(fd))
		expectQuiet(t, p)
	}
}

// TestPollReportsTheEndOfASocketOfWhichNothingIsAsked: a BSD's poll(2) tells so, and
// returns at once while that is so, also while the other side still has its
// descriptor, as for macOS only a socket of which one direction has ended.
func TestPollReportsTheEndOfASocketOfWhichNothingIsAsked(t *testing.T) {
	leaktest.Check(t)
	wait := func(fds []unix.PollFd, _ time.Duration) (int, error) { return unix.Poll(fds, 0) }
	p := open(t, constructor{open: func() (poller.Poller, error) {
		return poller.OpenPollOf(wait, func(int) bool { return true })
	}})
	fd, peer := fdtest.Socketpair(t)
	defer unix.Close(peer)
	defer unix.Close(fd)
	must(t, p.Add(fd, 1, poller.HangUp))
	expectQuiet(t, p)
	must(t, unix.Shutdown(fd, unix.SHUT_WR))
	must(t, unix.Shutdown(peer, unix.SHUT_WR))
	expect(t, p, event(fd, 1, everything))
	must(t, p.Remove(fd))
}
