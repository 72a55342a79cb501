package sock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// An Addr is the address of a socket: an IP address and port, or the path of a
// Unix socket. It is comparable. The zero Addr is that of a Unix socket without
// a name, which is what most clients have.
type Addr struct {
	// AddrPort is valid for IP sockets only. IPv4 addresses are IPv4 here, even
	// if the socket is an IPv6 one that serves both. A zone is a number.
	AddrPort netip.AddrPort
	// Path is the path of a Unix socket. On Linux one that begins with "@" is
	// the name of an abstract socket, which is in no file system. Of one that contains zeros LocalAddr and
	// RemoteAddr, as Go's net, tell what is before the first; OnPacket of a PacketConn gets all.
	Path string
}

// String is like "127.0.0.1:80", "[::1]:80" or "/run/service.sock".
func (a Addr) String() string {
	if a.AddrPort.IsValid() {
		return a.AddrPort.String()
	}
	return a.Path
}

// LocalAddr asks the kernel for the address that the socket fd is bound to.
func LocalAddr(fd int) (Addr, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Addr{}, &Error{Op: "getsockname", Err: err}
	}
	return addrOf(sa), nil
}

// RemoteAddr asks the kernel for the address that the socket fd is connected
// to. It fails (ENOTCONN) once the other side has reset the connection.
func RemoteAddr(fd int) (Addr, error) {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return Addr{}, &Error{Op: "getpeername", Err: err}
	}
	return addrOf(sa), nil
}

func addrOf(sa unix.Sockaddr) Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Addr{AddrPort: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}
	case *unix.SockaddrInet6:
		return Addr{AddrPort: addrPort6(sa.Addr, sa.ZoneId, uint16(sa.Port))}
	case *unix.SockaddrUnix:
		if sa.Name == "@" { // what x/sys makes of no name
			return Addr{}
		}
		return Addr{Path: sa.Name}
	}
	return Addr{}
}

func addrPort6(ip [16]byte, scope uint32, port uint16) netip.AddrPort {
	addr := netip.AddrFrom16(ip).Unmap()
	if scope != 0 && addr.Is6() {
		addr = addr.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return netip.AddrPortFrom(addr, port)
}

// sockaddr is the address as a socket of the given family takes it.
func (a Addr) sockaddr(family int) (unix.Sockaddr, error) {
	if family == unix.AF_UNIX {
		return &unix.SockaddrUnix{Name: a.Path}, nil
	}
	in, err := inetOf(a.AddrPort)
	if err != nil {
		return nil, err
	}
	if family == unix.AF_INET6 {
		return &unix.SockaddrInet6{Addr: in.ip, ZoneId: in.scope, Port: int(in.port)}, nil
	}
	if !in.is4 {
		return nil, unix.EAFNOSUPPORT
	}
	return &unix.SockaddrInet4{Addr: [4]byte(in.ip[12:]), Port: int(in.port)}, nil
}

// inet is an IP address and port close to the kernel's form: it is copied from
// and to a sockaddr without allocating, and turned into a netip.AddrPort only
// for those who ask.
type inet struct {
	ip    [16]byte // IPv4: mapped into IPv6
	scope uint32
	port  uint16
	is4   bool
	known bool
}

func (in *inet) addrPort() netip.AddrPort { return addrPort6(in.ip, in.scope, in.port) }

func inetOf(ap netip.AddrPort) (inet, error) {
	if !ap.IsValid() {
		return inet{}, unix.EINVAL
	}
	addr := ap.Addr().Unmap()
	in := inet{ip: addr.As16(), port: ap.Port(), is4: addr.Is4(), known: true}
	var err error
	if zone := addr.Zone(); zone != "" {
		in.scope, err = scopeOf(zone)
	}
	return in, err
}

// scopeOf is the number of a zone, which may be the name of an interface.
func scopeOf(zone string) (uint32, error) {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}

// familyOf is the address family that an IP address belongs to.
func familyOf(addr netip.Addr) int {
	if addr.Is4() || addr.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// portBytes is a port as a sockaddr has it, whatever the machine's byte order.
func portBytes(port uint16) (b [2]byte) {
	binary.BigEndian.PutUint16(b[:], port)
	return b
}
