//go:build linux || freebsd || netbsd || openbsd || dragonfly

package sock

import "golang.org/x/sys/unix"

// newSocket makes a non-blocking socket that no child inherits.
func newSocket(family, kind int) (int, error) {
	return unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}
