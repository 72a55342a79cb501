//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"slices"
	"time"

	"github.com/evfork/evfork/reactor"
)

// How long a connection that is closed at a shutdown may take: until the client takes
// something of what is left for it, and until it has closed its side, when it has
// taken all. Serve waits for that.
const (
	shutdownStall  = 5 * time.Second
	shutdownLinger = time.Second
)

// Close ends the server now: it listens nowhere, and its connections are closed.
// What was not written is lost; see Shutdown. Closed follows for each of them. Closing twice is harmless.
func (s *Server) Close() {
	s.stop()
	for _, c := range slices.Clone(s.conns) {
		c.stream.Close()
	}
}

// Shutdown does what the action evio.Shutdown does: nothing is listened at, nothing is
// read any more, what was returned by handlers is written, and the connections are closed.
// A client that takes nothing for 5 s loses the rest.
func (s *Server) Shutdown() { s.shutdown(nil) }

// shutdown is Shutdown. asker is the connection whose handler has asked for it; its
// answer may just have left, and unread input would destroy it if that was closed at once.
func (s *Server) shutdown(asker *conn) {
	if s.ending {
		return
	}
	s.stop()
	for _, c := range slices.Clone(s.conns) {
		if c != asker && !c.ending && c.stream.Buffered() == 0 {
			c.stream.Close()
		} else {
			c.end(shutdownStall, shutdownLinger)
		}
	}
}

// stop ends everything but the connections.
func (s *Server) stop() {
	if s.ending {
		return
	}
	s.ending = true
	s.timer.Stop()
	s.unlisten()
	// Of a loop that has ended, loopEnded is called.
	_ = s.loop.Post(s.settle)
}

func (s *Server) unlisten() {
	for _, p := range s.places {
		p.close()
	}
}

// settle tells that the server has ended, once it has.
func (s *Server) settle() {
	if !s.ending || s.ended || len(s.conns) > 0 {
		return
	}
	s.ended = true
	s.cleanup.Stop()
	s.release()
	if s.onClose != nil {
		s.onClose(s.err)
	}
}

// loopEnded is called before the loop ends the connections.
func (s *Server) loopEnded() {
	s.err = reactor.ErrClosed
	s.stop()
	s.settle()
}

// add and remove keep the connections in a list, in which each knows its slot.
func (s *Server) add(c *conn) {
	c.slot = len(s.conns)
	s.conns = append(s.conns, c)
}

func (s *Server) remove(c *conn) {
	last := len(s.conns) - 1
	s.conns[c.slot] = s.conns[last]
	s.conns[c.slot].slot = c.slot
	s.conns[last] = nil
	s.conns = s.conns[:last]
}
