package poller_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller"
)

// TestTerminalThatCannotBeWatchedIsRefused with the kernel's word for it, and
// leaves nothing behind.
func TestTerminalThatCannotBeWatchedIsRefused(t *testing.T) {
	p, err := simulated(kqsim.Quirks{NoTerminals: true})()
	must(t, err)
	defer p.Close()
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	must(t, err)
	defer unix.Close(terminal)
	for _, interest := range []poller.Interest{poller.Read, poller.Write, poller.Read | poller.Write} {
		if err := p.Add(terminal, 1, interest); err != unix.EINVAL {
			t.Errorf("interest %v: got %v, want EINVAL", interest, err)
		}
		if err := p.Remove(terminal); err != unix.ENOENT {
			t.Errorf("it is registered: removing it gives %v", err)
		}
		expectQuiet(t, p)
	}
}
