package sock

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inetFromRaw reads what the kernel has written; other families give an unknown address.
func inetFromRaw(sa *unix.RawSockaddrInet6) (in inet) {
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		in.ip[10], in.ip[11] = 0xff, 0xff
		copy(in.ip[12:], sa4.Addr[:])
		in.is4 = true
	case unix.AF_INET6:
		in.ip, in.scope = sa.Addr, sa.Scope_id
	default:
		return inet{}
	}
	in.port = binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	in.known = true
	return in
}

// toRaw writes the address for a socket of the given family, and returns its size.
func (in *inet) toRaw(sa *unix.RawSockaddrInet6, family int) uintptr {
	port := portBytes(in.port)
	*sa = unix.RawSockaddrInet6{Family: uint16(family)}
	sa.Port = *(*uint16)(unsafe.Pointer(&port))
	if family == unix.AF_INET {
		copy((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr[:], in.ip[12:])
		return unix.SizeofSockaddrInet4
	}
	sa.Addr, sa.Scope_id = in.ip, in.scope
	return unix.SizeofSockaddrInet6
}
