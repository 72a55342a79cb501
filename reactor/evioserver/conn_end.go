//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"cmp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// How long a connection that a handler has closed stays: while the client takes
// something of what is left for it at least that often; and when it has taken all, until
// it closes its side, or for that long. See Stream.CloseAfterFlush for why it is waited for.
const (
	closeStall  = 30 * time.Second
	closeLinger = 30 * time.Second
)

// end closes the connection when all has been written.
func (c *conn) end(stall, linger time.Duration) {
	c.afterFlush(stall, func() { c.stream.CloseAfterFlush(linger) })
}

// afterFlush has then called when all has been written: at once, if the kernel takes
// it. Until then nothing is read. A client that takes nothing for as long as stall, which is 0 for any
// length, loses the rest.
func (c *conn) afterFlush(stall time.Duration, then func()) {
	c.ending = true
	c.stream.Flush()
	if c.stream.Buffered() == 0 {
		then()
		return
	}
	// A stream of these water marks tells of its last byte.
	fd, _, _, unwritten := c.stream.Detach()
	stream, err := c.server.loop.NewStream(fd, fd, reactor.StreamConfig{
		HighWater:    1,
		OnDrain:      then,
		OnWriteError: func(error) { c.stream.Close() }, // it reads nothing, and would not end by itself
		OnClose:      c.onClose,
	})
	if err != nil {
		unix.Close(fd)
		c.onClose(err)
		return
	}
	c.stream = stream
	stream.SetWriteTimeout(stall)
	// Neither fails on a new stream.
	_ = stream.Pause()
	_ = stream.Write(unwritten)
	if stream.Buffered() == 0 {
		then() // there has become room meanwhile; whichever it is, it ends OnDrain
	}
}

// detach gives the connection to the handler Detached when all has been written.
func (c *conn) detach() {
	if c.server.events.Detached == nil {
		c.end(closeStall, closeLinger)
		return
	}
	c.afterFlush(0, c.handOver)
}

// handOver makes a connection of package net of the stream, which has delivered all
// that it has read.
func (c *conn) handOver() {
	if c.stream.Closed() {
		return // by whom Closed tells
	}
	conn, _, err := sock.Detach(c.stream)
	if err != nil { // such as EMFILE
		c.failed = err
		c.stream.Close()
		return
	}
	s := c.server
	s.remove(c)
	defer s.settle()
	restoreKeepAlive(conn, c)
	s.act(s.events.Detached(c, conn))
}

// onClose is called last, once, unless the connection was detached.
func (c *conn) onClose(err error) {
	s := c.server
	c.ending = true
	s.remove(c)
	defer s.settle() // whatever Closed does
	if s.events.Closed != nil {
		s.act(s.events.Closed(c, cause(cmp.Or(err, c.failed))))
	}
}
