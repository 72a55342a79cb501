package sock

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rawAddr is room for any address that the kernel may write.
type rawAddr struct {
	_    [0]uint64 // aligned as a sockaddr
	data [unix.SizeofSockaddrUnix]byte
}

func (r *rawAddr) inet() *unix.RawSockaddrInet6 {
	return (*unix.RawSockaddrInet6)(unsafe.Pointer(r))
}

// receiveFrom is RawSyscall: the socket is non-blocking, and x/sys would allocate
// an address per datagram. MSG_TRUNC makes the kernel return the datagram's real
// length, whatever the buffer's (recv(2), Linux; for Unix sockets since 3.4).
func receiveFrom(fd int, buf []byte) (n int, truncated bool, from source, err error) {
	var sa rawAddr
	size := uint32(unsafe.Sizeof(sa.data))
	r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))),
		uintptr(len(buf)), unix.MSG_TRUNC, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return 0, false, from, e
	}
	switch {
	case size < 2: // a Unix socket without a name
	case sa.inet().Family == unix.AF_UNIX:
		from.size = copy(from.path[:], unixName(sa.data[2:min(int(size), len(sa.data))]))
		if from.size > 0 && from.path[0] == 0 {
			from.path[0] = '@'
		}
	default:
		from.inet = inetFromRaw(sa.inet())
	}
	return int(r), int(r) > len(buf), from, nil
}

// unixName is a path up to its end, or an abstract name, which may contain zeros.
func unixName(b []byte) []byte {
	if len(b) > 0 && b[0] == 0 {
		return b
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// sendDatagram is RawSyscall; the socket is non-blocking. The address of a
// connected socket is nil.
func sendDatagram(fd, family int, data []byte, to *destination) error {
	var sa rawAddr
	var size uintptr
	var addr unsafe.Pointer
	switch {
	case to.inet.known:
		size, addr = to.inet.toRaw(sa.inet(), family), unsafe.Pointer(&sa)
	case to.path != "":
		if len(to.path) >= len(sa.data)-2 {
			return unix.EINVAL // as x/sys and bind(2) have it
		}
		sa.inet().Family = unix.AF_UNIX
		size, addr = 2+uintptr(copy(sa.data[2:], to.path))+1, unsafe.Pointer(&sa)
		if to.path[0] == '@' { // a length instead of a zero at the end
			sa.data[2] = 0
			size--
		}
	}
	_, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))),
		uintptr(len(data)), 0, uintptr(addr), size)
	if e != 0 {
		return e
	}
	return nil
}
