package rpc

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"
)

// clockName names the clock that monotonic reads: two processes that have the same
// name for it read the same value at the same time. The boot is part of it, and
// the time namespace, which may shift the clock (time_namespaces(7)). "" if /proc
// does not tell.
func clockName() string {
	// Each size of object that a worker uses costs it two pages: hence one string, and two
	// paths whose copies are of one size.
	var name [128]byte
	n := readLine("/proc/sys/kernel/random/boot_id", name[:64])
	if n == 0 {
		return ""
	}
	name[n] = ' '
	link, err := unix.Readlink("/proc/thread-self/ns/time", name[n+1:])
	if err != nil {
		return ""
	}
	return string(name[:n+1+link])
}

// readLine reads the first line of a small file, and returns its length; 0 if that fails.
// Workers are to stay small: no bufio, no os.File and its finalizer.
func readLine(path string, buf []byte) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	for err == syscall.EINTR {
		n, err = unix.Read(fd, buf)
	}
	return max(bytes.IndexByte(buf[:max(n, 0)], '\n'), 0)
}

// monotonic reads CLOCK_MONOTONIC, in nanoseconds: the clock of Go's own
// monotonic times on Linux, so that a difference of these can be added to it.
func monotonic() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano()
}
