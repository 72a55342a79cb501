package fdtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// smallest is the capacity of a shrunk pipe: one page, the least there is.
const smallest = 4096

// Shrink makes the kernel's buffer behind the write side of fd as small as it
// can be, so that EAGAIN comes early and often.
func Shrink(t testing.TB, fd int) {
	t.Helper()
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		must(t, "setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, smallest))
		return
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, smallest)
	must(t, "fcntl F_SETPIPE_SZ", err)
}

// largest is the capacity of a widened pipe: what an unprivileged process may ask
// for by default (pipe-max-size).
const largest = 1 << 20

// Widen makes the kernel's buffer behind the write side of fd as large as it can
// be, so that large writes succeed in one piece.
func Widen(t testing.TB, fd int) {
	t.Helper()
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		must(t, "setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, largest))
		return
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, largest)
	must(t, "fcntl", err)
}
