package poller

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollWait is ppoll(2), for its nanoseconds. A timeout of zero does not block, so
// it keeps the processor.
func pollWait(fds []unix.PollFd, timeout time.Duration) (int, error) {
	if timeout < 0 {
		return unix.Ppoll(fds, nil, nil)
	}
	ts := unix.NsecToTimespec(int64(timeout))
	if timeout > 0 {
		return unix.Ppoll(fds, &ts, nil)
	}
	n, _, e := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// halfClosed: Linux reports POLLHUP only when both directions have ended.
func halfClosed(int) bool { return false }
