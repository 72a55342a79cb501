//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"bytes"

	"github.com/tidwall/evio"
)

// onData is called with the loop's buffer, which is also the one that ReuseInputBuffer shares.
func (c *conn) onData(in []byte) {
	if !c.options.ReuseInputBuffer {
		in = bytes.Clone(in) // it becomes the handler's
	}
	c.answer(c.server.events.Data(c, in))
}

// wake is posted by Wake. It may come when the connection has ended, or another call
// has answered it.
func (c *conn) wake() {
	if c.woken.Swap(false) && !c.ending && !c.stream.Closed() && c.server.events.Data != nil {
		c.orClose(func() { c.answer(c.server.events.Data(c, nil)) })
	}
}

// onEOF is called when the client has ended its writing. It may read on, or be gone,
// which only writing would tell; and a handler, which is told by Closed alone, cannot say
// whether it has more for it. So what it has been asked, by bytes or by Wake, is answered, and that is all.
func (c *conn) onEOF() {
	c.wake()
	if !c.ending {
		c.ending = true
		c.stream.CloseWrite() // which closes it when all is written
	}
}

// onDrain is called when the client has read most of what waited for it.
func (c *conn) onDrain() {
	if err := c.stream.Resume(); err != nil {
		c.failed = err
		c.stream.Close()
	}
}

// answer writes what a handler has returned, and does what it has asked for.
func (c *conn) answer(out []byte, action evio.Action) {
	if len(out) > 0 && !c.stream.Closed() {
		c.server.preWrite()
		// If the client is gone, Closed tells.
		_ = c.stream.Write(out)
	}
	switch action {
	case evio.Close:
		c.end(closeStall, closeLinger)
	case evio.Detach:
		c.detach()
	case evio.Shutdown:
		c.server.shutdown(c)
	}
	if c.stream.Congested() && !c.ending {
		// Not to watch a descriptor any more does not fail.
		_ = c.stream.Pause()
	}
}
