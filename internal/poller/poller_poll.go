package poller

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxPollMillis bounds one poll(2): its timeout is an int of milliseconds, and
// the loop simply waits again.
const maxPollMillis = math.MaxInt32

// pollPoller asks by poll(2), which keeps nothing between two calls: every Wait
// hands over all of the descriptors, and costs as much. In return there is
// nothing that a duplicate could keep alive, no system call for a change, and no
// Unix without it. It is the oracle that the tests compare the others with.
type pollPoller struct {
	waker  *wakePipe
	fds    []unix.PollFd // [0] is the waker's; without gaps
	gens   []uint32      // parallel to fds
	places []int32       // by descriptor: where in fds; 0 is nowhere
	events []Event

	// What differs between systems; another one's in tests.
	wait       func(fds []unix.PollFd, timeout time.Duration) (int, error)
	halfClosed func(fd int) bool
}

var _ Poller = (*pollPoller)(nil)

func openPoll() (Poller, error) {
	waker, err := openWakePipe()
	if err != nil {
		return nil, err
	}
	return &pollPoller{
		waker: waker,
		fds:   []unix.PollFd{{Fd: int32(waker.r), Events: unix.POLLIN}},
		gens:  []uint32{0},

		wait:       pollWait,
		halfClosed: halfClosed,
	}, nil
}

// Name implements Poller.
func (p *pollPoller) Name() string { return "poll" }

// FD fails. The descriptors are an argument of each call, so nothing stands for
// them all; an epoll set beside it would make this another poller.
func (p *pollPoller) FD() (int, error) {
	return -1, fmt.Errorf("a loop on poll(2) has no descriptor that a host could watch: %w", ErrUnsupported)
}

func (p *pollPoller) place(fd int) int32 {
	if fd < 0 || fd >= len(p.places) {
		return 0
	}
	return p.places[fd]
}

// Add makes an entry in the array that the next Wait hands to the kernel; no system call but the one that asks
// what fd is. It returns EEXIST if fd is registered, EPERM for a file that never blocks, EBADF.
func (p *pollPoller) Add(fd int, gen uint32, interest Interest) error {
	if p.place(fd) != 0 {
		return unix.EEXIST
	}
	socket, err := inspect(fd)
	if err != nil {
		return err
	}
	for len(p.places) <= fd {
		p.places = append(p.places, 0)
	}
	p.places[fd] = int32(len(p.fds))
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: pollAsks(fd, socket, interest)})
	p.gens = append(p.gens, gen)
	return nil
}

// Modify changes the entry. It returns ENOENT for what is not registered.
func (p *pollPoller) Modify(fd int, gen uint32, interest Interest) error {
	at := p.place(fd)
	if at == 0 {
		return unix.ENOENT
	}
	p.fds[at].Events, p.gens[at] = p.fds[at].Events&unix.POLLHUP|pollBits(interest), gen
	return nil
}

// Remove fills the gap with the last entry.
func (p *pollPoller) Remove(fd int) error {
	at := p.place(fd)
	if at == 0 {
		return unix.ENOENT
	}
	p.forget(at)
	return nil
}

func (p *pollPoller) forget(at int32) {
	last := len(p.fds) - 1
	p.places[p.fds[at].Fd] = 0
	if int(at) != last {
		p.fds[at], p.gens[at] = p.fds[last], p.gens[last]
		p.places[p.fds[at].Fd] = at
	}
	p.fds, p.gens = p.fds[:last], p.gens[:last]
}

// pollAsks are the bits to register a descriptor with. The POLLHUP of a pipe's write end stays: see pollBits.
func pollAsks(fd int, socket bool, interest Interest) int16 {
	bits := pollBits(interest)
	if !socket && isWriteOnly(fd) {
		bits |= unix.POLLHUP
	}
	return bits
}

// pollBits: POLLERR and POLLHUP are always reported, and so need no bit, except on
// macOS. There POLLHUP asks for the read filter, which would make poll return at
// once, without a report, while there is something to read; of a pipe's write end
// there never is.
func pollBits(interest Interest) (bits int16) {
	if interest&Read != 0 {
		bits |= unix.POLLIN
	}
	if interest&Write != 0 {
		bits |= unix.POLLOUT
	}
	return bits
}

// Wait looks through all entries until it has found as many as the kernel counted. The slice is filled
// again by the next Wait. A signal ends the wait without events, and is no error.
func (p *pollPoller) Wait(timeout time.Duration) ([]Event, error) {
	p.events = p.events[:0]
	n, err := p.wait(p.fds, timeout)
	switch err {
	case nil:
	case unix.EINTR:
		return p.events, nil
	case unix.EINVAL: // the limit was lowered
		return nil, fmt.Errorf("poll of %d descriptors, which may be more than RLIMIT_NOFILE: %w", len(p.fds), err)
	default:
		return nil, os.NewSyscallError("poll", err)
	}
	if p.fds[0].Revents != 0 {
		p.fds[0].Revents = 0
		p.waker.drain()
		n--
	}
	for at := 1; at < len(p.fds) && n > 0; {
		bits := p.fds[at].Revents
		if bits != 0 {
			n--
			p.events = append(p.events, Event{FD: p.fds[at].Fd, Gen: p.gens[at], Ready: pollReport(&p.fds[at], p.halfClosed)})
		}
		p.fds[at].Revents = 0
		if bits&unix.POLLNVAL == 0 {
			at++
			continue
		}
		// Closed without Remove. It is reported as stale, once, for the loop to
		// count, and forgotten, or every further Wait would return at once. What
		// fills the gap has not been looked at.
		p.events[len(p.events)-1].Gen = ^p.gens[at]
		p.forget(int32(at))
	}
	return p.events, nil
}

// pollReport translates what poll has said about a descriptor.
func pollReport(fd *unix.PollFd, halfClosed func(fd int) bool) Interest {
	if fd.Revents&(unix.POLLERR|unix.POLLNVAL) == 0 && fd.Revents&unix.POLLHUP != 0 && halfClosed(int(fd.Fd)) {
		// Which of them, the operation will tell. macOS tells nothing where nothing is
		// asked: elsewhere both have ended, and poll would return at once for ever.
		return cmp.Or(pollReadiness(fd.Events&^unix.POLLHUP), everything)
	}
	return pollReadiness(fd.Revents)
}

// pollReadiness translates poll's bits; rule 4 of the contract.
func pollReadiness(bits int16) (r Interest) {
	if bits&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		return everything
	}
	if bits&unix.POLLIN != 0 {
		r |= Read
	}
	if bits&unix.POLLOUT != 0 {
		r |= Write
	}
	return r
}

// Wake writes to the waker. Goroutine-safe.
func (p *pollPoller) Wake() error { return p.waker.wake() }

// Rebuild forgets everything: nothing else is kept anywhere.
func (p *pollPoller) Rebuild() error {
	clear(p.places)
	p.fds, p.gens, p.events = p.fds[:1], p.gens[:1], p.events[:0]
	return nil
}

// Close closes the waker, which is all that the kernel keeps.
func (p *pollPoller) Close() error { return p.waker.close() }

// pollMillis rounds a timeout up to milliseconds; negative ones all mean for
// ever. The longest must not overflow in the rounding.
func pollMillis(timeout time.Duration) int {
	if timeout <= 0 {
		return int(max(timeout, -1))
	}
	return int(min((timeout-1)/time.Millisecond+1, maxPollMillis))
}
