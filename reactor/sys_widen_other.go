//go:build !linux

package reactor

// sysWiden does nothing: only Linux can set the capacity of a pipe.
func sysWiden(int) {}
