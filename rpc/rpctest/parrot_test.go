package rpctest_test

import (
	"syscall"

	"github.com/evfork/evfork/rpc"
)

// parrot copies a child's input to its output.
func parrot(fds rpc.FDs) error {
	r, w := fds.FDs()
	buf := make([]byte, 1<<15)
	for {
		n, err := syscall.Read(r, buf)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || n == 0:
			return err
		}
		for p := buf[:n]; len(p) > 0; {
			n, err := syscall.Write(w, p)
			if err != nil && err != syscall.EINTR {
				return err
			}
			p = p[max(n, 0):]
		}
	}
}
