//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"errors"
	"net"

	"github.com/evfork/evfork/reactor/sock"
)

// A place is an address that the server listens at.
type place struct {
	address  address
	local    net.Addr
	listener *sock.Listener   // nil: it is one of datagrams
	packets  *sock.PacketConn // nil: it is one of connections
}

// listen opens the place of an address. Names take the resolver, which blocks, and
// are looked up only if there are any.
func (s *Server) listen(index int, a address) (*place, error) {
	p, err := s.open(index, a)
	if errors.Is(err, sock.ErrHostName) {
		if a, err = a.resolve(); err == nil {
			p, err = s.open(index, a)
		}
	}
	return p, err
}

func (s *Server) open(index int, a address) (*place, error) {
	p := &place{address: a}
	if a.udp() {
		return p, p.openPackets(s, index)
	}
	config := sock.ListenConfig{
		ReusePort: a.reusePort,
		KeepAlive: sock.KeepAlive{Off: true}, // unless Opened asks for it
	}
	listener, err := sock.Listen(s.loop, a.network, a.name, config, func(conn *sock.Conn) { s.accepted(p, index, conn) })
	if err != nil {
		return nil, err
	}
	p.listener, p.local = listener, a.netAddr(listener.Addr())
	return p, nil
}

func (p *place) close() {
	if p.listener != nil {
		p.listener.Close()
	}
	if p.packets != nil {
		p.packets.Close()
	}
}
