package kevent

import "golang.org/x/sys/unix"

// The filters. EVFILT_USER came with OpenBSD 7.8, and x/sys does not have it
// yet; the number is that of sys/event.h. Older kernels refuse it.
const (
	EVFILT_READ  = unix.EVFILT_READ
	EVFILT_WRITE = unix.EVFILT_WRITE
	EVFILT_PROC  = unix.EVFILT_PROC
	EVFILT_USER  = -10
)
