//go:build !linux

package child

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// newPipe makes a pipe that is closed on exec. Not every system here has pipe2:
// the fork lock keeps a fork from happening between the two steps. The capacity
// cannot be chosen.
func newPipe(int) (r, w int, err error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(fds[:]); err != nil {
		return -1, -1, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds[0], fds[1], nil
}

func dup2(from, to int) error { return unix.Dup2(from, to) }
