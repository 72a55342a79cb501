//go:build !linux && !darwin && !openbsd

package reactor

// sysWritev does without writev, which x/sys does not have for these systems.
func sysWritev(fd int, bufs [][]byte) (int, error) { return writeEach(fd, bufs) }
