package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// A network is what the name of one means.
type network struct {
	name   string
	kind   int // SOCK_STREAM or SOCK_DGRAM
	family int // AF_UNIX, AF_INET, AF_INET6; AF_UNSPEC: the address decides
}

func streamNetwork(name string) (network, error) {
	switch name {
	case "tcp":
		return network{name, unix.SOCK_STREAM, unix.AF_UNSPEC}, nil
	case "tcp4":
		return network{name, unix.SOCK_STREAM, unix.AF_INET}, nil
	case "tcp6":
		return network{name, unix.SOCK_STREAM, unix.AF_INET6}, nil
	case "unix":
		return network{name, unix.SOCK_STREAM, unix.AF_UNIX}, nil
	}
	return network{}, net.UnknownNetworkError(name)
}

func packetNetwork(name string) (network, error) {
	switch name {
	case "udp":
		return network{name, unix.SOCK_DGRAM, unix.AF_UNSPEC}, nil
	case "udp4":
		return network{name, unix.SOCK_DGRAM, unix.AF_INET}, nil
	case "udp6":
		return network{name, unix.SOCK_DGRAM, unix.AF_INET6}, nil
	case "unixgram":
		return network{name, unix.SOCK_DGRAM, unix.AF_UNIX}, nil
	}
	return network{}, net.UnknownNetworkError(name)
}

func (n network) tcp() bool { return n.kind == unix.SOCK_STREAM && n.family != unix.AF_UNIX }

// takes reports whether an IP address belongs to the network.
func (n network) takes(addr netip.Addr) bool {
	return n.family == unix.AF_UNSPEC || n.family == familyOf(addr)
}

// A place is an address taken apart: a path, or a host and a port of which
// either may be a name.
type place struct {
	path          string
	host, service string
	addr          netip.Addr // if host is a literal, or empty
	port          uint16
	named         bool // a resolver has to be asked
}

// parse takes an address apart. missing tells what no host means.
func (n network) parse(address string, missing func(network) netip.Addr) (p place, err error) {
	if n.family == unix.AF_UNIX {
		return place{path: address}, checkPath(address)
	}
	if p.host, p.service, err = net.SplitHostPort(address); err != nil {
		return p, err
	}
	if port, err := strconv.ParseUint(p.service, 10, 16); err == nil {
		p.port = uint16(port)
	} else if !nameLike(p.service) {
		return p, &net.AddrError{Err: "invalid port", Addr: address}
	} else {
		p.named = true
	}
	if p.host == "" {
		p.addr = missing(n)
		return p, nil
	}
	if p.addr, err = netip.ParseAddr(p.host); err != nil {
		p.named = true
		return p, nil
	}
	if !n.takes(p.addr) {
		return p, &net.AddrError{Err: "address is not of network " + n.name, Addr: address}
	}
	return p, nil
}

// maxPath is how long the path of a Unix socket may be, in bytes; a zero follows it: 107 on Linux, 103 on the BSDs and macOS.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// checkPath tells what is wrong with the path of a Unix socket.
func checkPath(path string) error {
	switch {
	case path == "" || path == "@":
		return fmt.Errorf("%w: no path", reactor.ErrInvalid)
	case len(path) > maxPath:
		return fmt.Errorf("the path has %d bytes, and may have %d: %w", len(path), maxPath, unix.EINVAL)
	case strings.IndexByte(path, 0) >= 0 && !abstract(path): // the kernel would take what is before it
		return fmt.Errorf("the path contains a zero: %w", unix.EINVAL)
	}
	return nil
}

// nameLike reports whether a port could be the name of a service: a number that
// is too large, or nothing, cannot.
func nameLike(service string) bool {
	_, err := strconv.ParseInt(service, 10, 64)
	return service != "" && errors.Is(err, strconv.ErrSyntax)
}

// unspecified is where a listener without a host listens: on all addresses.
func unspecified(n network) netip.Addr {
	if n.family == unix.AF_INET {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// loopback is what a dial without a host means: this machine.
func loopback(n network) netip.Addr {
	if n.family == unix.AF_INET6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// literal is the address of a place whose names, if any, need no resolver:
// "localhost" is the loopback address everywhere (RFC 6761, section 6.3).
func (n network) literal(address string, missing func(network) netip.Addr) (Addr, error) {
	p, err := n.parse(address, missing)
	switch {
	case err != nil:
		return Addr{}, err
	case p.path != "":
		return Addr{Path: p.path}, nil
	case p.host == "localhost" && !nameLike(p.service):
		p.addr = loopback(n)
	case p.named:
		return Addr{}, ErrHostName
	}
	return Addr{AddrPort: netip.AddrPortFrom(p.addr, p.port)}, nil
}
