package rpc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// clockName names the clock that monotonic reads: two processes that have the same
// name for it read the same value at the same time. The boot is part of it, and
// the time namespace, which may shift the clock (time_namespaces(7)). "" if /proc
// does not tell.
func clockName() string {
	boot := readSmall("/proc/sys/kernel/random/boot_id")
	link := make([]byte, 64)
	n, err := unix.Readlink("/proc/self/ns/time", link)
	if boot == "" || err != nil {
		return ""
	}
	return boot + " " + string(link[:n])
}

// readSmall reads the first line of a small file; "" if that fails. Workers are
// to stay small: no bufio, no os.File and its finalizer.
func readSmall(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	buf := make([]byte, 64)
	n, err := unix.Read(fd, buf)
	for err == syscall.EINTR {
		n, err = unix.Read(fd, buf)
	}
	for i := range max(n, 0) {
		if buf[i] == '\n' {
			return string(buf[:i])
		}
	}
	return ""
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
