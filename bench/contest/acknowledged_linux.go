package main

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged is how many bytes the other side's kernel has not taken yet.
func unacknowledged(c net.Conn) (n uint32, err error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, errors.New("only TCP acknowledges")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetUint32(int(fd), unix.SIOCOUTQ) })
	return n, errors.Join(controlErr, err)
}
