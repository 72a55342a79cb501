//go:build !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package kevent

// The filters, with the numbers of FreeBSD.
const (
	EVFILT_READ  = -1
	EVFILT_WRITE = -2
	EVFILT_PROC  = -5
	EVFILT_USER  = -11
)
