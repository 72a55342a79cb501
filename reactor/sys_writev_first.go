//go:build !linux && !darwin && !openbsd

package reactor

import "golang.org/x/sys/unix"

// sysWritev writes the first buffer only: x/sys has no writev on these systems,
// and the caller goes on with the rest anyway.
func sysWritev(fd int, bufs [][]byte) (int, error) {
	return unix.Write(fd, bufs[0][:min(len(bufs[0]), maxTransfer)])
}
