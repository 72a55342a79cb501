package reactor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls here are RawSyscall: they keep the processor instead of lending it
// to other goroutines. That is right only on non-blocking descriptors, and only
// for bounded transfers (maxTransfer), because the garbage collector waits for
// them. Every caller has seen to both.

func sysRead(fd int, buf []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysWrite(fd int, buf []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// sysWritev writes at most maxTransfer bytes of the buffers.
func sysWritev(fd int, bufs [][]byte) (int, error) {
	var vec [maxVectors]syscall.Iovec
	n, left := 0, maxTransfer
	for _, b := range bufs {
		if n == len(vec) || left == 0 {
			break
		}
		b = b[:min(len(b), left)]
		left -= len(b)
		vec[n].Base = unsafe.SliceData(b)
		vec[n].SetLen(len(b))
		n++
	}
	w, _, e := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vec)), uintptr(n))
	if e != 0 {
		return 0, e
	}
	return int(w), nil
}

// sysUnread is how many bytes lie in the pipe, of which fd may be either end. It
// still answers the writer when the reader is gone.
func sysUnread(fd int) int {
	n, err := unix.IoctlGetUint32(fd, unix.TIOCINQ) // IoctlGetInt reads the wrong half of 64 bits on big-endian machines
	if err != nil {
		return 0
	}
	return int(n)
}

// isPtyMaster reports whether fd is the master of a pseudo-terminal: only masters have a number to tell. Where the
// others read 0, Linux says EIO when the last who had the terminal open has closed it.
func isPtyMaster(fd int) bool {
	_, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	return err == nil
}
