//go:build !(linux || freebsd || netbsd || openbsd || dragonfly)

package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// inheritsOptions is false: which ones macOS passes on is not documented.
const inheritsOptions = false

// accept4 does in three steps what others do in one; the fork lock keeps a fork
// from happening between the first two. The address is left to getpeername.
func accept4(listener int) (fd int, remote inet, err error) {
	syscall.ForkLock.RLock()
	fd, _, err = unix.Accept(listener)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, inet{}, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, inet{}, err
	}
	return fd, inet{}, nil
}
