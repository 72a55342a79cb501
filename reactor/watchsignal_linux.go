package reactor

import "syscall"

// catchable reports whether the runtime hands the signal on. 32, 33 and 34 are
// the C library's own, and the runtime leaves them to it (sigtab_linux_generic.go).
func catchable(s syscall.Signal) bool {
	return s >= 1 && s <= 64 && s != syscall.SIGKILL && s != syscall.SIGSTOP && (s < 32 || s > 34)
}
