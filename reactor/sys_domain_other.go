//go:build unix && !linux

package reactor

import "golang.org/x/sys/unix"

// isUnixSocket is false also for a socket that some systems say nothing of, because it was reset.
func isUnixSocket(fd int) bool {
	name, err := unix.Getsockname(fd)
	_, unixSocket := name.(*unix.SockaddrUnix)
	return err == nil && unixSocket
}
