package reactor

import "golang.org/x/sys/unix"

// isUnixSocket asks for the domain alone: getsockname(2) would have x/sys make an address of it, and link what it has for each kind.
func isUnixSocket(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}
