package child

import (
	"math"

	"golang.org/x/sys/unix"
)

// newPipe makes a pipe that is closed on exec, of the given capacity if not 0.
func newPipe(size int) (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	if size > 0 {
		// The kernel would look at the lower 32 bits only.
		if _, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, min(size, math.MaxInt32)); err != nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
			return -1, -1, err
		}
	}
	return fds[0], fds[1], nil
}

func dup2(from, to int) error { return unix.Dup3(from, to, 0) }
