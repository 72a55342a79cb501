package sock

import (
	"errors"
	"net/netip"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// Send sends a datagram to the address of DialPacket. It never blocks. If the
// kernel has no room, a copy waits until it has, behind those that wait already;
// reactor.ErrBufferFull means that MaxQueued bytes wait, and that the datagram was
// dropped. Other errors mean that it was not sent, among them ECONNREFUSED, which
// says that an *earlier* one has found nobody. Sent does not mean received.
func (p *PacketConn) Send(data []byte) error {
	return p.send(data, destination{})
}

// SendTo is Send to an IP address, for sockets of ListenPacket. It does not
// allocate unless the datagram has to wait.
func (p *PacketConn) SendTo(data []byte, to netip.AddrPort) error {
	in, err := inetOf(to)
	switch {
	case err != nil:
	case p.family == unix.AF_UNIX, p.family == unix.AF_INET && !in.is4:
		err = unix.EAFNOSUPPORT
	default:
		return p.send(data, destination{inet: in})
	}
	return &Error{Op: "send", Network: p.network.name, Address: to.String(), Err: err}
}

// SendToPath is Send to the path of a Unix socket.
func (p *PacketConn) SendToPath(data []byte, path string) error {
	err := reactor.ErrInvalid
	if p.family == unix.AF_UNIX {
		err = checkPath(path)
	}
	if err != nil {
		return &Error{Op: "send", Network: p.network.name, Address: path, Err: err}
	}
	return p.send(data, destination{path: path})
}

// A destination is an IP address, a path, or neither on a connected socket.
type destination struct {
	inet inet
	path string
}

// String is the destination as in an error: an address with a port, or a path.
func (d *destination) String() string {
	if d.inet.known {
		return d.inet.addrPort().String()
	}
	return d.path
}

func (p *PacketConn) send(data []byte, to destination) error {
	if p.fd < 0 {
		return reactor.ErrClosed
	}
	if !p.queue.empty() {
		return p.enqueue(data, to)
	}
	err := p.sendNow(data, &to)
	if errors.Is(err, unix.EAGAIN) {
		return p.enqueue(data, to)
	}
	return p.sendError(&to, err)
}

func (p *PacketConn) sendNow(data []byte, to *destination) error {
	for {
		err := sendDatagram(p.fd, p.family, data, to)
		if !errors.Is(err, unix.EINTR) {
			if err == nil {
				p.stats.Sent++
			}
			return err
		}
	}
}

func (p *PacketConn) sendError(to *destination, err error) error {
	if err == nil {
		return nil
	}
	address := to.String()
	if address == "" {
		address = p.name
	}
	return &Error{Op: "send", Network: p.network.name, Address: address, Err: err}
}

// enqueue keeps a datagram until the kernel has room.
func (p *PacketConn) enqueue(data []byte, to destination) error {
	if p.queue.size+max(len(data), 1) > p.config.MaxQueued {
		p.refused = p.refused || !p.queue.empty() // else there is nothing to drain
		p.stats.Refused++
		return p.sendError(&to, reactor.ErrBufferFull)
	}
	if p.queue.empty() {
		p.wait = 0
		if err := p.await(&to); err != nil {
			return p.sendError(&to, err)
		}
	}
	p.queue.push(data, to)
	return nil
}

// await has flush called when there may be room for the first datagram. That of
// a Unix socket that ours is not connected to is not reported: ours counts as
// writable while the other one's queue is full (unix(7), Linux).
func (p *PacketConn) await(to *destination) error {
	if to.path == "" {
		return p.watcher.SetInterest(reactor.Read | reactor.Write)
	}
	// Of datagrams that waited before this one to the address of DialPacket, it may
	// still be asked for: narrowing it does not fail.
	_ = p.watcher.SetInterest(reactor.Read)
	p.wait = min(max(2*p.wait, firstRetry), lastRetry)
	if p.again == nil {
		p.again = p.state.loop.AfterFunc(p.wait, p.flush)
		if p.unref {
			p.again.Unref()
		}
		return nil
	}
	p.again.Reset(p.wait)
	return nil
}

// flush sends what is queued, whichever callback panics: nothing else may come that would send the rest.
func (p *PacketConn) flush() { callback.ToTheEnd(p.flushQueue) }

func (p *PacketConn) flushQueue() {
	for p.fd >= 0 && !p.queue.empty() {
		next := p.queue.first()
		err := p.sendNow(next.buf.B, &next.to)
		if errors.Is(err, unix.EAGAIN) {
			// What is asked for already cannot fail.
			_ = p.await(&next.to)
			return
		}
		p.wait = 0
		lost := p.sendError(&next.to, err)
		p.queue.pop()
		if lost != nil && p.config.OnError != nil {
			p.config.OnError(lost)
		}
	}
	if p.fd < 0 {
		return
	}
	// Narrowing what is asked of an open descriptor does not fail.
	_ = p.watcher.SetInterest(reactor.Read)
	if p.refused {
		p.refused = false
		if p.config.OnDrain != nil {
			p.config.OnDrain()
		}
	}
}

// packetQueue holds datagrams in pooled buffers, oldest first. Empty, it holds none.
type packetQueue struct {
	packets []queuedPacket
	head    int
	size    int // bytes; an empty datagram counts as one, so that it is seen
}

type queuedPacket struct {
	buf *bytebufferpool.ByteBuffer
	to  destination
}

func (q *packetQueue) empty() bool { return q.head == len(q.packets) }

func (q *packetQueue) first() *queuedPacket { return &q.packets[q.head] }

func (q *packetQueue) push(data []byte, to destination) {
	buf := bytebufferpool.Get()
	buf.Set(data)
	if q.head > 0 && len(q.packets) == cap(q.packets) {
		// Move what is left to the front instead of growing.
		n := copy(q.packets, q.packets[q.head:])
		clear(q.packets[n:])
		q.packets, q.head = q.packets[:n], 0
	}
	q.packets = append(q.packets, queuedPacket{buf: buf, to: to})
	q.size += max(len(data), 1)
}

func (q *packetQueue) pop() {
	p := &q.packets[q.head]
	q.size -= max(len(p.buf.B), 1)
	bytebufferpool.Put(p.buf)
	*p = queuedPacket{}
	q.head++
	if q.empty() {
		q.packets, q.head = q.packets[:0], 0
	}
}

func (q *packetQueue) drop() {
	for !q.empty() {
		q.pop()
	}
	*q = packetQueue{}
}
