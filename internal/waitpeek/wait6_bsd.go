//go:build (freebsd && !386 && !arm) || netbsd

package waitpeek

import (
	"syscall"
	"unsafe"
)

// peek is wait6(2), which has no wrapper. It returns the pid, or zero without an
// exit. (On 32-bit FreeBSD its argument is 64 bits wide: not here.)
func peek(pid int) (bool, error) {
	var status int32
	got, _, e := syscall.Syscall6(syscall.SYS_WAIT6, idPID, uintptr(pid), uintptr(unsafe.Pointer(&status)), syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT, 0, 0)
	if e != 0 {
		return false, e
	}
	return got != 0, nil
}
