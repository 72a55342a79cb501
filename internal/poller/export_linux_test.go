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

// LoseOuter makes the next Rebuild fail after its new set has been made: the
// set that FD returned is replaced by a number that is not open. It returns a
// function that puts it back.
func LoseOuter(p Poller) (restore func()) {
	e := p.(*epoll)
	outer := e.outer
	e.outer = 1 << 20
	return func() { e.outer = outer }
}

// Millis is how a timeout is counted without epoll_pwait2.
var Millis = pollMillis
