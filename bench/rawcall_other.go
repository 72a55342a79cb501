//go:build !linux

package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// rawCall is an ordinary call where raw ones are not to be had.
func rawCall(number uintptr, fd int, p []byte) (int, error) {
	if number == syscall.SYS_READ {
		return unix.Read(fd, p)
	}
	return unix.Write(fd, p)
}
