//go:build darwin || openbsd

package reactor

import "golang.org/x/sys/unix"

// sysWritev writes at most maxTransfer bytes of the buffers.
func sysWritev(fd int, bufs [][]byte) (int, error) {
	var clipped [maxVectors][]byte
	n, left := 0, maxTransfer
	for _, b := range bufs {
		if n == len(clipped) || left == 0 {
			break
		}
		clipped[n] = b[:min(len(b), left)]
		left -= len(clipped[n])
		n++
	}
	return unix.Writev(fd, clipped[:n])
}
