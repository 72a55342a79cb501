package main

import (
	"syscall"
	"unsafe"
)

// rawCall is read(2) or write(2) without telling the scheduler.
func rawCall(number uintptr, fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
