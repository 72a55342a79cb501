package reactor

import "golang.org/x/sys/unix"

// sysWiden enlarges a pipe from defaultPipe to widePipe. It leaves alone what has another
// capacity, because somebody has chosen that, and what is no pipe. The kernel refuses it to
// users whose pipes have more pages than pipe-user-pages-soft; then all stays as it is.
func sysWiden(fd int) {
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err == nil && size == defaultPipe {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, widePipe)
	}
}
