package kqsim

import (
	"time"

	"golang.org/x/sys/unix"
)

// Poll is poll(2) as macOS makes it from kqueue: an EV_EOF of either filter is
// POLLHUP, and then there is no POLLOUT; nothing is told of a descriptor of which
// nothing is asked, and POLLHUP counts as asking for the read filter.
// https://github.com/apple/darwin-xnu/blob/main/bsd/kern/sys_generic.c
func Poll(fds []unix.PollFd, timeout time.Duration) (n int, err error) {
	asked := make([]unix.PollFd, len(fds))
	for i := range fds {
		asked[i].Fd = fds[i].Fd
		fds[i].Revents = 0
		if fds[i].Events&(unix.POLLIN|unix.POLLHUP) != 0 {
			asked[i].Events |= unix.POLLIN | unix.POLLRDHUP
		}
		if fds[i].Events&unix.POLLOUT != 0 {
			asked[i].Events |= unix.POLLOUT
		}
		if asked[i].Events == 0 {
			asked[i].Fd = -1
		}
	}
	var limit *unix.Timespec
	if timeout >= 0 {
		ts := unix.NsecToTimespec(int64(timeout))
		limit = &ts
	}
	if _, err := unix.Ppoll(asked, limit, nil); err != nil {
		return 0, err
	}
	for i := range fds {
		if fds[i].Revents = fromFilters(&asked[i], fds[i].Events); fds[i].Revents != 0 {
			n++
		}
	}
	return n, nil
}

// fromFilters makes macOS's bits of Linux's.
func fromFilters(fd *unix.PollFd, asked int16) (bits int16) {
	const gone = unix.POLLHUP | unix.POLLERR
	if fd.Fd < 0 {
		return 0
	}
	if fd.Revents&unix.POLLNVAL != 0 {
		return unix.POLLNVAL
	}
	if fd.Events&unix.POLLIN != 0 {
		bits = asked & fd.Revents & unix.POLLIN
		if fd.Revents&(gone|unix.POLLRDHUP) != 0 {
			bits = asked&unix.POLLIN | unix.POLLHUP
		}
	}
	if asked&unix.POLLOUT != 0 {
		if fd.Revents&gone != 0 || identify(int(fd.Fd)).socket() && sendingIsShut(int(fd.Fd)) {
			bits |= unix.POLLHUP
		}
		if bits&unix.POLLHUP == 0 {
			bits |= fd.Revents & unix.POLLOUT
		}
	}
	return bits
}

// HalfClosed reports whether a socket whose end Poll has told still has a peer, as
// getpeername(2) does there.
func HalfClosed(fd int) bool {
	return identify(fd).socket() && conditions(fd)&(unix.POLLHUP|unix.POLLERR) == 0
}
