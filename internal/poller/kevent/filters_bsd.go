//go:build darwin || dragonfly || freebsd

package kevent

import "golang.org/x/sys/unix"

// The filters.
const (
	EVFILT_READ  = unix.EVFILT_READ
	EVFILT_WRITE = unix.EVFILT_WRITE
	EVFILT_PROC  = unix.EVFILT_PROC
	EVFILT_USER  = unix.EVFILT_USER
)
