//go:build !linux

package fdtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// smallest is asked of a socket; the kernel may give more.
const smallest = 4096

// Shrink makes the kernel's buffer behind the write side of fd small where that
// can be done: pipes have no such call outside Linux.
func Shrink(t testing.TB, fd int) {
	t.Helper()
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, smallest)
}

// Widen does nothing here: what large buffers are for is tested on Linux.
func Widen(testing.TB, int) {}
