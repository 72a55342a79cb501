//go:build !linux

package poller

import (
	"os"

	"golang.org/x/sys/unix"
)

func openEpoll() (Poller, error) { return nil, os.NewSyscallError("epoll_create1", unix.ENOSYS) }
