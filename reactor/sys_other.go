//go:build !linux

package reactor

import "golang.org/x/sys/unix"

func sysRead(fd int, buf []byte) (int, error) { return unix.Read(fd, buf) }

func sysWrite(fd int, buf []byte) (int, error) { return unix.Write(fd, buf) }

// sysWritev writes the first buffer only: x/sys has no writev on most of these
// systems, and the caller goes on with the rest anyway.
func sysWritev(fd int, bufs [][]byte) (int, error) {
	return unix.Write(fd, bufs[0][:min(len(bufs[0]), maxTransfer)])
}

// sysUnread answers 0: what a pipe's write end says to FIONREAD has only been
// checked on Linux.
func sysUnread(int) int { return 0 }
