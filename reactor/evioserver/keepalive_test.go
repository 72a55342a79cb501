//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func keepAliveOf(t testing.TB, c *net.TCPConn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	var on int
	var optErr error
	must(t, raw.Control(func(fd uintptr) { on, optErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) }))
	must(t, optErr)
	return on != 0
}
