package poller_test

import (
	"errors"
	"io"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// onEachProcessPoller runs body with a fresh poller of each kind that watches
// processes.
func onEachProcessPoller(t *testing.T, body func(t *testing.T, p poller.ProcessPoller)) {
	onEach(t, func(t *testing.T, p poller.Poller) {
		pp, ok := p.(poller.ProcessPoller)
		if !ok {
			t.Skipf("%s does not watch processes", p.Name())
		}
		body(t, pp)
	})
}

// cat starts a process that ends when its input does.
func cat(t testing.TB) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) {
		t.Skip("missing here: ", err)
	} else {
		must(t, err)
	}
	return cmd, stdin
}

func exitOf(cmd *exec.Cmd, gen uint32) poller.Event {
	return event(cmd.Process.Pid, gen, poller.Exited)
}

func TestExitIsReportedOnce(t *testing.T) {
	onEachProcessPoller(t, func(t *testing.T, p poller.ProcessPoller) {
		cmd, stdin := cat(t)
		must(t, p.AddProcess(cmd.Process.Pid, 1<<31))
		expectQuiet(t, p)
		must(t, stdin.Close())
		expect(t, p, exitOf(cmd, 1<<31))
		expectQuiet(t, p)
		must(t, cmd.Wait()) // its status is still there
	})
}

func TestExitBeforeItsRegistrationIsReported(t *testing.T) {
	onEachProcessPoller(t, func(t *testing.T, p poller.ProcessPoller) {
		cmd, stdin := cat(t)
		must(t, stdin.Close())
		for {
			exited, err := waitpeek.Exited(cmd.Process.Pid)
			if errors.Is(err, unix.ENOSYS) {
				t.Skip("this system cannot be asked about a child without reaping it")
			}
			must(t, err)
			if exited {
				break
			}
			_, err = p.Wait(time.Millisecond) // whatever: not to spin
			must(t, err)
		}
		must(t, p.AddProcess(cmd.Process.Pid, 2))
		expect(t, p, exitOf(cmd, 2))
		expectQuiet(t, p)
		must(t, p.AddProcess(cmd.Process.Pid, 3))
		p.RemoveProcess(cmd.Process.Pid)
		expectQuiet(t, p)
		must(t, cmd.Wait())
		if err := p.AddProcess(cmd.Process.Pid, 4); !errors.Is(err, unix.ESRCH) {
			t.Errorf("after it was reaped: got %v, want ESRCH", err)
		}
	})
}

func TestRemovedProcessIsSilent(t *testing.T) {
	onEachProcessPoller(t, func(t *testing.T, p poller.ProcessPoller) {
		cmd, stdin := cat(t)
		must(t, p.AddProcess(cmd.Process.Pid, 1))
		p.RemoveProcess(cmd.Process.Pid)
		p.RemoveProcess(cmd.Process.Pid) // ignored
		must(t, stdin.Close())
		must(t, cmd.Wait())
		expectQuiet(t, p)
	})
}

func TestExitMakesFDReadable(t *testing.T) {
	onEachProcessPoller(t, func(t *testing.T, p poller.ProcessPoller) {
		host := hostFD(t, p)
		cmd, stdin := cat(t)
		must(t, p.AddProcess(cmd.Process.Pid, 1))
		wantReadable(t, host, false)
		must(t, stdin.Close())
		await(t, host)
		expect(t, p, exitOf(cmd, 1))
		must(t, p.AddProcess(cmd.Process.Pid, 2)) // a zombie
		await(t, host)
		expect(t, p, exitOf(cmd, 2))
		must(t, cmd.Wait())
	})
}

// scripted is a kqueue that reports what it is told to.
type scripted struct {
	reports []kevent.Event
}

func (s *scripted) Kevent(changes, events []kevent.Event, _ *unix.Timespec) (int, error) {
	n := copy(events, s.reports)
	if len(events) > 0 {
		s.reports = s.reports[n:]
	}
	return n, nil
}

func (s *scripted) FD() int               { return -1 }
func (s *scripted) Disconnected(int) bool { return false }
func (s *scripted) Close() error          { return nil }

// TestOneNumberOfTwoFiltersIsTwoThings: a process with the number of a descriptor
// that has been reported in the same breath.
func TestOneNumberOfTwoFiltersIsTwoThings(t *testing.T) {
	user := kevent.Event{Filter: kevent.EVFILT_USER}
	s := &scripted{reports: []kevent.Event{user}} // the probe
	p, err := poller.NewKqueue(s)
	must(t, err)
	defer p.Close()
	fd, _ := socket(t)
	must(t, p.Add(fd, 7, poller.Read|poller.Write))
	report := func(filter kevent.Filter, gen uintptr) kevent.Event {
		ev := kevent.Event{Ident: uintptr(fd), Filter: filter}
		ev.Udata[0] = gen
		return ev
	}
	exit := report(kevent.EVFILT_PROC, 9)
	for _, order := range [][]kevent.Event{
		{report(kevent.EVFILT_READ, 7), exit, report(kevent.EVFILT_WRITE, 7)},
		{exit, report(kevent.EVFILT_READ, 7), report(kevent.EVFILT_WRITE, 7)},
		{report(kevent.EVFILT_WRITE, 7), report(kevent.EVFILT_READ, 7), exit},
	} {
		s.reports = order
		events, err := p.Wait(0)
		must(t, err)
		seen := make(map[poller.Event]int)
		for _, ev := range events {
			seen[ev]++
		}
		if len(events) != 2 || seen[event(fd, 7, poller.Read|poller.Write)] != 1 || seen[event(fd, 9, poller.Exited)] != 1 {
			t.Errorf("got %v", events)
		}
	}
}

// TestProcessThatIsReapedWhileItIsRegisteredIsReported: this kernel has registered
// it and will not tell.
func TestProcessThatIsReapedWhileItIsRegisteredIsReported(t *testing.T) {
	p, err := poller.NewKqueue(&scripted{reports: []kevent.Event{{Filter: kevent.EVFILT_USER}}})
	must(t, err)
	defer p.Close()
	cmd, stdin := cat(t)
	must(t, stdin.Close())
	must(t, cmd.Wait())
	if _, err := waitpeek.Exited(cmd.Process.Pid); err == unix.ENOSYS {
		t.Skip("this system cannot be asked about a child without reaping it")
	}
	must(t, p.(poller.ProcessPoller).AddProcess(cmd.Process.Pid, 5))
	expect(t, p, exitOf(cmd, 5))
	expectQuiet(t, p)
}
