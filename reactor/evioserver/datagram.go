//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"bytes"
	"net"

	"github.com/evfork/evfork/reactor/sock"
)

// A datagram is the Conn of one: it ends with the call of Data.
type datagram struct {
	place   *place
	index   int
	from    sock.Addr
	context any
}

// Context implements evio.Conn: what SetContext was given for this datagram. For the loop's goroutine.
func (d *datagram) Context() any { return d.context }

// SetContext implements evio.Conn. For the loop's goroutine.
func (d *datagram) SetContext(context any) { d.context = context }

// AddrIndex implements evio.Conn: which of the server's addresses it came to, from 0. Goroutine-safe.
func (d *datagram) AddrIndex() int { return d.index }

// LocalAddr implements evio.Conn: the address that is listened at. Goroutine-safe; the result is the server's.
func (d *datagram) LocalAddr() net.Addr { return d.place.local }

// RemoteAddr implements evio.Conn: who has sent it. Goroutine-safe; the result is the caller's.
func (d *datagram) RemoteAddr() net.Addr { return d.place.address.netAddr(d.from) }

// Wake implements evio.Conn, and does nothing: the datagram has ended when it could be woken.
func (d *datagram) Wake() {}

func (p *place) openPackets(s *Server, index int) error {
	packets, err := sock.ListenPacket(s.loop, p.address.network, p.address.name, sock.PacketConfig{
		ReusePort: p.address.reusePort,
		OnPacket:  func(data []byte, from sock.Addr) { s.received(p, index, data, from) },
	})
	if err != nil {
		return err
	}
	p.packets = packets
	local, err := packets.Addr()
	if err != nil {
		packets.Close()
		return err
	}
	p.local = p.address.netAddr(local)
	return nil
}

// received calls Data for a datagram. As in evio, an empty one is passed over: Data
// would take it for a Wake.
func (s *Server) received(p *place, index int, data []byte, from sock.Addr) {
	s.begin()
	if s.ending || s.events.Data == nil || len(data) == 0 {
		return
	}
	d := &datagram{place: p, index: index, from: from}
	out, action := s.events.Data(d, bytes.Clone(data))
	if len(out) > 0 {
		s.preWrite()
		// An answer that cannot be sent is lost, as datagrams are.
		_ = p.packets.SendTo(out, from.AddrPort)
	}
	s.act(action)
}
