package fdtest

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TCP returns two ends of a TCP connection over the loopback interface, which can
// do what a socket pair cannot: be reset with data on its way.
func TCP(t testing.TB) (ours, theirs *End) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, "socket", err)
	defer unix.Close(listener)
	must(t, "bind", unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, "listen", unix.Listen(listener, 1))
	address, err := unix.Getsockname(listener)
	must(t, "getsockname", err)
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, "socket", err)
	must(t, "connect", unix.Connect(client, address)) // over loopback it is done at once
	server, _, err := unix.Accept(listener)
	must(t, "accept", err)
	prepare(t, [2]int{server, client})
	return &End{Read: server, Write: server}, &End{Read: client, Write: client}
}
