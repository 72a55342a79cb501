package poller

import (
	"time"

	"golang.org/x/sys/unix"
)

// OpenPollOf is Open("poll") on a kernel with another poll(2).
func OpenPollOf(wait func([]unix.PollFd, time.Duration) (int, error), halfClosed func(int) bool) (Poller, error) {
	p, err := openPoll()
	if err != nil {
		return nil, err
	}
	p.(*pollPoller).wait, p.(*pollPoller).halfClosed = wait, halfClosed
	return p, nil
}

// OpenMillis is Open on a kernel that has no epoll_pwait2.
func OpenMillis() (Poller, error) {
	p, err := openEpoll()
	if err != nil {
		return nil, err
	}
	p.(*epoll).millis = true
	return p, nil
}

// OpenKeeping is Open("epoll"), and each Wait that may block keeps the processor, for a second at most.
func OpenKeeping() (Poller, error) {
	p, err := openEpoll()
	if err != nil {
		return nil, err
	}
	return keepingEpoll{p.(*epoll)}, nil
}

type keepingEpoll struct{ *epoll }

func (p keepingEpoll) Wait(timeout time.Duration) ([]Event, error) {
	switch {
	case timeout < 0:
		return p.WaitKeeping(time.Second)
	case timeout > 0:
		return p.WaitKeeping(timeout)
	}
	return p.epoll.Wait(0)
}

// LoseOuter makes the next Rebuild fail after its new set has been made: the
// set that FD returned is replaced by a number that is not open. It returns a
// function that puts it back.
func LoseOuter(p Poller) (restore func()) {
	e, ok := p.(*epoll)
	if !ok {
		e = p.(keepingEpoll).epoll
	}
	outer := e.outer
	e.outer = 1 << 20
	return func() { e.outer = outer }
}

// Millis is how a timeout is counted without epoll_pwait2.
var Millis = pollMillis
