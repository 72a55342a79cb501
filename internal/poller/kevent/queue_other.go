//go:build !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package kevent

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open fails: this operating system has no kqueue.
func Open() (Queue, error) { return nil, os.NewSyscallError("kqueue", unix.ENOSYS) }
