//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"net"
	"sync/atomic"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// highWater is how many bytes wait for a client until no more is read from it. evio
// reads nothing while a single byte waits, which costs clients that pipeline a wait per read.
const highWater = 64 << 10

// A conn is the evio.Conn of a connection. What is not atomic belongs to the loop,
// or does not change.
type conn struct {
	server  *Server
	stream  *reactor.Stream
	slot    int // in server.conns
	at      *place
	index   int // of the address
	remote  sock.Addr
	context any
	options evio.Options
	ending  bool  // no event comes but Closed or Detached
	failed  error // why it could not be detached

	woken  atomic.Bool // a Wake is not answered yet
	onWake func()      // what Wake posts
}

// Context implements evio.Conn: what SetContext was given last. For the loop's goroutine.
func (c *conn) Context() any { return c.context }

// SetContext implements evio.Conn. For the loop's goroutine.
func (c *conn) SetContext(context any) { c.context = context }

// AddrIndex implements evio.Conn: which of the server's addresses it came to, from 0. Goroutine-safe.
func (c *conn) AddrIndex() int { return c.index }

// LocalAddr implements evio.Conn: the address that is listened at. Goroutine-safe; the result is the server's.
func (c *conn) LocalAddr() net.Addr { return c.at.local }

// RemoteAddr implements evio.Conn. Goroutine-safe; the result is the caller's.
func (c *conn) RemoteAddr() net.Addr { return c.at.address.netAddr(c.remote) }

// Wake implements evio.Conn: Data is called without input, once for all Wakes that come before that call. Goroutine-safe.
func (c *conn) Wake() {
	if !c.woken.Swap(true) {
		// Of a loop that has ended there is nothing to be woken.
		_ = c.server.loop.Post(c.onWake)
	}
}

// accepted makes a connection of what a listener has accepted.
func (s *Server) accepted(at *place, index int, a *sock.Conn) {
	s.begin()
	if s.ending {
		return // which closes it
	}
	// An address that cannot be had is one of a client that is gone, which reading will tell.
	remote, _ := a.RemoteAddr()
	c := &conn{server: s, at: at, index: index, remote: remote}
	c.onWake = c.wake
	config := reactor.StreamConfig{OnEOF: c.onEOF, OnDrain: c.onDrain, OnClose: c.onClose, HighWater: highWater}
	if s.events.Data != nil {
		config.OnData = c.onData
	}
	stream, err := a.Stream(config)
	if err != nil {
		return // it is closed without having been opened
	}
	c.stream = stream
	s.add(c)
	c.orClose(c.open)
}

func (c *conn) open() {
	if c.server.events.Opened == nil {
		return
	}
	out, options, action := c.server.events.Opened(c)
	c.options = options
	if c.at.address.tcp() && options.TCPKeepAlive > 0 && !c.stream.Closed() {
		fd, _ := c.stream.FDs()
		// It fails only when the client is gone already.
		_ = sock.SetKeepAlive(fd, c.keepAlive())
	}
	c.answer(out, action)
}

// keepAlive is what Options mean: evio takes the time for both.
func (c *conn) keepAlive() sock.KeepAlive {
	return sock.KeepAlive{Idle: c.options.TCPKeepAlive, Interval: c.options.TCPKeepAlive}
}

// orClose closes the connection if call panics. The loop does that only for what it
// calls for a stream, which a connection that is accepted, or woken, is not.
func (c *conn) orClose(call func()) {
	returned := false
	defer func() {
		if !returned {
			c.stream.Close()
		}
	}()
	call()
	returned = true
}
