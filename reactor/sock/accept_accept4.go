//go:build freebsd || netbsd || openbsd || dragonfly

package sock

import "syscall"

// inheritsOptions is false: not all of these systems pass the keep-alive times on.
const inheritsOptions = false

// accept4 leaves the address to getpeername, for those who ask.
func accept4(listener int) (fd int, remote inet, err error) {
	fd, _, err = syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	return fd, inet{}, err
}
