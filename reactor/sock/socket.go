package sock

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// bindings are the families to try for a socket that is bound to addr, best
// first, and whether an IPv6 one refuses IPv4. As in Go's net, "tcp" and "udp"
// on all addresses mean both versions of IP, by one socket if the system has
// such.
func (n network) bindings(addr Addr) (families []int, v6only bool) {
	switch {
	case n.family == unix.AF_UNIX:
		return []int{unix.AF_UNIX}, false
	case n.family != unix.AF_UNSPEC:
		return []int{n.family}, true
	case !addr.AddrPort.Addr().IsUnspecified():
		return []int{familyOf(addr.AddrPort.Addr())}, true
	case dualStack:
		return []int{unix.AF_INET6, unix.AF_INET}, false
	default:
		return []int{familyOf(addr.AddrPort.Addr())}, true
	}
}

// as turns "all addresses" of one family into that of another.
func (a Addr) as(family int) Addr {
	ip := a.AddrPort.Addr()
	switch {
	case !ip.IsValid() || !ip.IsUnspecified() || familyOf(ip) == family:
		return a
	case family == unix.AF_INET:
		ip = netip.IPv4Unspecified()
	default:
		ip = netip.IPv6Unspecified()
	}
	return Addr{AddrPort: netip.AddrPortFrom(ip, a.AddrPort.Port())}
}

// open makes a socket bound to addr. prepare sets options before the bind.
func (n network) open(addr Addr, prepare func(fd int) error) (fd, family int, err error) {
	families, v6only := n.bindings(addr)
	for _, family = range families {
		if fd, err = newSocket(family, n.kind); err == nil {
			if family == unix.AF_INET6 {
				err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolInt(v6only))
			}
			if err == nil {
				err = prepare(fd)
			}
			if err == nil {
				err = bindTo(fd, family, addr.as(family))
			}
			if err == nil {
				return fd, family, nil
			}
			unix.Close(fd)
		}
		if !noSuchFamily(err) {
			break
		}
	}
	return -1, 0, err
}

// noSuchFamily reports whether the system, as it is configured, has no IPv6.
func noSuchFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

func bindTo(fd, family int, addr Addr) error {
	sa, err := addr.sockaddr(family)
	if err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
