//go:build !(linux || freebsd || netbsd || openbsd || dragonfly)

package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// newSocket makes a non-blocking socket that no child inherits. This system has
// no flags for that: the fork lock keeps a fork from happening between the steps.
func newSocket(family, kind int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
