//go:build !linux

package poller

import (
	"time"

	"golang.org/x/sys/unix"
)

// pollWait is poll(2): ppoll is not everywhere, and not in x/sys where it is.
func pollWait(fds []unix.PollFd, timeout time.Duration) (int, error) {
	return unix.Poll(fds, pollMillis(timeout))
}

// halfClosed reports whether a POLLHUP means no more than that one direction of a
// socket has ended: macOS makes poll from kqueue, and POLLHUP from EV_EOF.
func halfClosed(fd int) bool {
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return false
	}
	_, err := unix.Getpeername(fd)
	return err == nil
}
