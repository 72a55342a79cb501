//go:build !linux

package reactor

import "syscall"

// catchable reports whether the runtime hands the signal on. Above 31 there is
// nothing but SIGTHR and FreeBSD's real-time signals, which it does not know.
func catchable(s syscall.Signal) bool {
	return s >= 1 && s <= 31 && s != syscall.SIGKILL && s != syscall.SIGSTOP
}
