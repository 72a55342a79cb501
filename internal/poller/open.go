package poller

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Open returns the poller of that name, or this platform's best for "". The
// error is an ErrUnsupported if the name is unknown, or known elsewhere only.
func Open(name string) (Poller, error) {
	if name == "" {
		name = best
	}
	p, err := open(name)
	if errors.Is(err, unix.ENOSYS) {
		err = fmt.Errorf("this system has no %s: %w", name, ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func open(name string) (Poller, error) {
	switch name {
	case "epoll":
		return openEpoll()
	case "kqueue":
		return openKqueue()
	case "poll":
		return openPoll()
	default:
		return nil, fmt.Errorf("no poller is called %q (epoll, kqueue, poll are): %w", name, ErrUnsupported)
	}
}

// openKqueue is the system's, or a simulated one.
func openKqueue() (Poller, error) {
	if simulated := simulation.Load(); simulated != nil {
		return (*simulated)()
	}
	return openSystemKqueue()
}
