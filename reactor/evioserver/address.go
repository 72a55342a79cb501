//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/evfork/evfork/reactor/sock"
)

// An address is one of those given to Serve, taken apart.
type address struct {
	network   string
	name      string
	reusePort bool
}

// parseAddress reads what evio does: "network://address?reuseport=true". The network's
// suffix "-net", which has evio use package net, makes no difference here.
func parseAddress(text string) address {
	a := address{network: "tcp", name: text}
	if parts := strings.Split(text, "://"); len(parts) > 1 {
		a.network, a.name = parts[0], parts[1]
	}
	a.network = strings.TrimSuffix(a.network, "-net")
	name, options, _ := strings.Cut(a.name, "?")
	a.name = name
	for option := range strings.SplitSeq(options, "&") {
		if pair := strings.Split(option, "="); len(pair) == 2 && pair[0] == "reuseport" && pair[1] != "" {
			a.reusePort = strings.ContainsRune("123456789TtYy", rune(pair[1][0]))
		}
	}
	return a
}

func (a address) udp() bool { return strings.HasPrefix(a.network, "udp") }
func (a address) tcp() bool { return strings.HasPrefix(a.network, "tcp") }

// resolve asks the resolver for the numbers of an address with names in it.
func (a address) resolve() (address, error) {
	if a.udp() {
		addr, err := net.ResolveUDPAddr(a.network, a.name)
		if err != nil {
			return a, err
		}
		a.name = addr.String()
		return a, nil
	}
	addr, err := net.ResolveTCPAddr(a.network, a.name)
	if err != nil {
		return a, err
	}
	a.name = addr.String()
	return a, nil
}

// netAddr is an address of the same network as package net has it.
func (a address) netAddr(from sock.Addr) net.Addr {
	switch {
	case a.tcp():
		return net.TCPAddrFromAddrPort(named(from.AddrPort))
	case a.udp():
		return net.UDPAddrFromAddrPort(named(from.AddrPort))
	}
	return &net.UnixAddr{Name: from.Path, Net: "unix"}
}

// named gives the zone of an address, which is a number, the name of its interface.
func named(a netip.AddrPort) netip.AddrPort {
	index, err := strconv.Atoi(a.Addr().Zone())
	if err != nil {
		return a // it has no zone
	}
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return a
	}
	return netip.AddrPortFrom(a.Addr().WithZone(ifi.Name), a.Port())
}
