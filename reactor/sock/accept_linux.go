package sock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inheritsOptions: an accepted socket is a copy of the listening one, options
// included (tcp(7)), so that they cost no system call per connection.
const inheritsOptions = true

// accept4 is RawSyscall, because the listening socket is non-blocking, and
// because x/sys would allocate an address for every connection. On 386 the call
// exists since Linux 4.3, as do recvfrom and sendto.
func accept4(listener int) (fd int, remote inet, err error) {
	var sa unix.RawSockaddrInet6 // the longest of IP; a Unix path is cut off, and not looked at
	size := uint32(unsafe.Sizeof(sa))
	n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, inet{}, e
	}
	return int(n), inetFromRaw(&sa), nil
}
