// Package waitpeek tells whether a child of this process has exited, or is about
// to, and leaves its status to whoever reaps it.
package waitpeek

import "golang.org/x/sys/unix"

// Exited reports whether the child pid has exited. The error is ECHILD if there
// is no such child (any more), and ENOSYS where the system cannot be asked.
func Exited(pid int) (bool, error) {
	for {
		exited, err := peek(pid)
		if err != unix.EINTR {
			return exited, err
		}
	}
}
