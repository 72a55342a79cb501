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
