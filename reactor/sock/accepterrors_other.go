//go:build !linux

package sock

import "golang.org/x/sys/unix"

// lostHere: macOS and the BSDs have none of their own.
func lostHere(unix.Errno) bool { return false }
