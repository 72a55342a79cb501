package yield

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Await waits for a descriptor to become readable, for a Slice at most, without lending the processor. Whether it has is for
// the read that follows to find out.
func Await(fd int) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	ts := unix.NsecToTimespec(int64(Slice))
	syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}
