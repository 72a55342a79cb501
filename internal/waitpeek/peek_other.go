//go:build !linux && !(freebsd && !386 && !arm) && !netbsd && !darwin

package waitpeek

import "golang.org/x/sys/unix"

// peek cannot be done. OpenBSD has waitid since 7.3, but takes no system calls
// from outside its C library, and x/sys has no wrapper for it.
func peek(int) (bool, error) { return false, unix.ENOSYS }
