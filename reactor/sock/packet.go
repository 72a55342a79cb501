package sock

import (
	"container/list"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

const (
	// packetsPerEvent bounds what one busy socket receives before others have their turn.
	packetsPerEvent = 64

	// defaultMaxPacket is above the largest datagram of UDP, 65507 bytes.
	defaultMaxPacket = 64 << 10

	// mostMaxPacket is above the largest datagram of any system: on Linux a Unix one of 4 MiB leaves, whatever
	// SO_SNDBUF is, and one of 5 MiB is ENOBUFS (6.18); others have less.
	mostMaxPacket = 64 << 20

	defaultMaxQueued = 256 << 10
)

// PacketConfig configures a PacketConn. All callbacks run on the loop. A nil
// callback is not called.
type PacketConfig struct {
	// OnPacket gets every datagram and its sender. The bytes are valid until it
	// returns. A datagram may be empty.
	OnPacket func(data []byte, from Addr)
	// OnError is told what went wrong, as an *Error: a datagram longer than
	// MaxPacket (ErrTruncated); what the network reports about an earlier
	// datagram of a connected socket (ECONNREFUSED: nobody listens there); the
	// loss of a queued datagram. The PacketConn goes on.
	OnError func(err error)
	// OnDrain is called when nothing is queued any more after a Send has
	// returned reactor.ErrBufferFull because of what was.
	OnDrain func()

	// MaxPacket is the size of the largest datagram that is received, in bytes.
	// 0: 64 kB, more than UDP has. There is one buffer per loop. Above 64 MiB, which no
	// system's datagrams reach, it is refused with ErrMaxPacket.
	MaxPacket int
	// MaxQueued is how many bytes wait for room in the kernel before Send
	// refuses more. 0: 256 kB. Negative: none, what finds no room is refused. They leave in
	// their order, so a Unix socket that does not receive holds up what is for others: a server
	// of clients that it does not trust has none wait. On Linux a client that has connected to
	// it can still fill the kernel's buffer, which is for all of them.
	MaxQueued int

	// ReusePort lets several sockets be bound to the same address; the kernel
	// spreads datagrams over them by their sender. Not for Unix sockets.
	ReusePort bool
	// Mode and KeepFile are as in ListenConfig, for "unixgram"; datagrams that
	// come between the bind and the change of the mode are not refused.
	Mode     fs.FileMode
	KeepFile bool
}

// PacketStats counts what a PacketConn has done.
type PacketStats struct {
	Received  uint64
	Truncated uint64 // received in part, and dropped
	Sent      uint64
	Refused   uint64 // not taken, for want of room: reactor.ErrBufferFull
	Queued    int    // bytes that wait now
}

// A PacketConn sends and receives datagrams. All methods belong to the loop's
// goroutine. While it is open and not unreferenced it keeps Run from returning.
// The loop's Shutdown sends what is queued, and the loop's Close closes it.
type PacketConn struct {
	state   *state
	element *list.Element // of state.open
	network network
	name    string // as it was given, for errors
	fd      int
	family  int
	config  PacketConfig
	watcher *reactor.FDWatcher
	file    socketFile
	queue   packetQueue
	again   *reactor.Timer // for queued datagrams whose room is not reported; nil until needed
	wait    time.Duration  // until then
	unref   bool
	refused bool // OnDrain is owed
	path    string
	stats   PacketStats
}

// ListenPacket makes a socket of network "udp", "udp4", "udp6" or "unixgram" that
// is bound to an address and talks to anybody. Addresses are as for Listen.
func ListenPacket(loop *reactor.Loop, network, address string, config PacketConfig) (*PacketConn, error) {
	return newPacketConn(loop, "listen", network, address, config, (*PacketConn).bind)
}

// DialPacket makes a socket of network "udp", "udp4", "udp6" or "unixgram" that
// talks to one address only: it receives what comes from there, and Send needs no
// address. This does not block, nor does it find out whether anybody is there.
// Host names are refused, except for "localhost"; see Resolve. A Unix socket made
// here has no name, so that it cannot be answered.
func DialPacket(loop *reactor.Loop, network, address string, config PacketConfig) (*PacketConn, error) {
	return newPacketConn(loop, "dial", network, address, config, (*PacketConn).connect)
}

func newPacketConn(loop *reactor.Loop, op, network, address string, config PacketConfig, open func(*PacketConn) error) (*PacketConn, error) {
	n, err := packetNetwork(network)
	if config.MaxPacket == 0 {
		config.MaxPacket = defaultMaxPacket
	}
	if config.MaxQueued == 0 {
		config.MaxQueued = defaultMaxQueued
	}
	p := &PacketConn{network: n, name: address, fd: -1, config: config}
	switch {
	case err != nil:
	case config.MaxPacket < 0:
		err = reactor.ErrInvalid
	case config.MaxPacket > mostMaxPacket:
		err = ErrMaxPacket
	}
	if err == nil {
		p.state, err = stateOf(loop)
	}
	if err == nil {
		err = open(p)
	}
	if err == nil {
		p.watcher, err = loop.WatchFD(p.fd, reactor.Read, p.onReady)
	}
	if err != nil {
		p.drop()
		return nil, &Error{Op: op, Network: network, Address: address, Err: err}
	}
	p.element = p.state.open.PushBack(p)
	return p, nil
}

func (p *PacketConn) bind() error {
	addr, err := p.network.literal(p.name, unspecified)
	if err != nil {
		return err
	}
	if p.network.family == unix.AF_UNIX {
		p.family = unix.AF_UNIX
		p.fd, p.file, err = bindFile(p.network, addr.Path, p.config.Mode)
		return err
	}
	p.fd, p.family, err = p.network.open(addr, func(fd int) error {
		if !p.config.ReusePort {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, reusePort, 1)
	})
	return err
}

func (p *PacketConn) connect() error {
	addr, err := p.network.literal(p.name, loopback)
	if err != nil {
		return err
	}
	p.family = unix.AF_UNIX
	if p.network.family != unix.AF_UNIX {
		p.family = familyOf(addr.AddrPort.Addr())
	}
	sa, err := addr.sockaddr(p.family)
	if err != nil {
		return err
	}
	if p.fd, err = newSocket(p.family, p.network.kind); err != nil {
		p.fd = -1
		return err
	}
	return unix.Connect(p.fd, sa)
}

// Addr returns the address that the socket is bound to, with the port that the
// system has chosen.
func (p *PacketConn) Addr() (Addr, error) { return LocalAddr(p.fd) }

// FD returns the descriptor, for options that are not here; it stays the
// PacketConn's. -1 after Close.
func (p *PacketConn) FD() int { return p.fd }

// Stats returns the counters.
func (p *PacketConn) Stats() PacketStats {
	s := p.stats
	s.Queued = p.queue.size
	return s
}

// Unref makes the PacketConn work on without keeping Run from returning.
func (p *PacketConn) Unref() {
	p.unref = true
	p.watcher.Unref()
	if p.again != nil {
		p.again.Unref()
	}
}

// Ref undoes Unref.
func (p *PacketConn) Ref() {
	p.unref = false
	p.watcher.Ref()
	if p.again != nil {
		p.again.Ref()
	}
}

// Close closes the socket. What is queued is dropped. Closing twice is harmless.
func (p *PacketConn) Close() {
	if p.fd < 0 {
		return
	}
	p.drop()
	p.state.freed()
}

func (p *PacketConn) end()           { p.Close() }
func (p *PacketConn) flushing() bool { return p.queue.size > 0 }

func (p *PacketConn) drop() {
	if p.watcher != nil {
		_ = p.watcher.Stop() // the descriptor is open: no error is possible
	}
	if p.again != nil {
		p.again.Stop()
	}
	if p.element != nil {
		p.state.open.Remove(p.element)
		p.element = nil
	}
	if !p.config.KeepFile {
		p.file.remove()
	}
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
	p.queue.drop()
}

func (p *PacketConn) onReady(ready reactor.Ready) {
	if ready&reactor.Write != 0 {
		p.flush()
	}
	if ready&reactor.Read != 0 {
		p.receive()
	}
}

// receive takes what there is, each datagram by one system call.
func (p *PacketConn) receive() {
	buf := p.state.packetBuffer(p.config.MaxPacket)
	for range packetsPerEvent {
		if p.fd < 0 {
			return
		}
		n, truncated, from, err := receiveFrom(p.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case err != nil:
			p.fail("receive", err)
		case truncated:
			p.stats.Truncated++
			p.fail("receive", ErrTruncated)
		default:
			p.stats.Received++
			if p.config.OnPacket != nil {
				p.config.OnPacket(buf[:n], p.sender(&from))
			}
		}
	}
}

// sender converts the address of a datagram. The name of a Unix socket is a
// string, which is made anew only when it differs from the one before.
func (p *PacketConn) sender(from *source) Addr {
	if from.inet.known {
		return Addr{AddrPort: from.inet.addrPort()}
	}
	if name := from.name(); string(name) != p.path {
		p.path = string(name)
	}
	return Addr{Path: p.path}
}

func (p *PacketConn) fail(op string, err error) {
	if p.config.OnError != nil {
		p.config.OnError(&Error{Op: op, Network: p.network.name, Address: p.name, Err: err})
	}
}

// packetBuffer is the loop's one buffer for datagrams.
func (s *state) packetBuffer(size int) []byte {
	if len(s.buf) < size {
		s.buf = make([]byte, size)
	}
	return s.buf[:size]
}

// A source is where a datagram came from: IP, or the path of a Unix socket.
type source struct {
	inet inet
	path [pathSize]byte
	size int // of path
}

// pathSize is more than any system's sun_path.
const pathSize = 128

func (s *source) name() []byte { return s.path[:s.size] }
