package waitpeek

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peek is waitid(2), which on macOS returns for a stopped child too, whatever it
// was asked for (Go issue 19314): the code of the report tells.
func peek(pid int) (bool, error) {
	// struct siginfo: si_signo, si_errno, si_code, …; 104 bytes.
	var info [26]int32
	_, _, e := syscall.Syscall6(syscall.SYS_WAITID, 1, uintptr(pid), uintptr(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
	if e != 0 {
		return false, e
	}
	return isExit(info[2]), nil
}
