//go:build !linux

package reactor

import "golang.org/x/sys/unix"

func sysRead(fd int, buf []byte) (int, error) { return unix.Read(fd, buf) }

func sysWrite(fd int, buf []byte) (int, error) { return unix.Write(fd, buf) }

// sysUnread answers 0: what a pipe's write end says to FIONREAD has only been
// checked on Linux.
func sysUnread(int) int { return 0 }

// isPtyMaster is asked what EIO means, which is the end of input on Linux.
func isPtyMaster(int) bool { return false }
