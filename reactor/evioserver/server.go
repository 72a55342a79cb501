//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver

import (
	"errors"
	"net"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
)

// A Server is a set of handlers that is attached to a loop. All methods belong to
// the loop's goroutine; others use loop.Post(server.Close). Until it has ended, it keeps
// the loop's Run from returning.
type Server struct {
	loop    *reactor.Loop
	events  evio.Events
	places  []*place
	conns   []*conn
	timer   reactor.Timer // begins, then ticks
	release func()        // of what keeps Run from returning
	cleanup *reactor.Hook
	onClose func(err error)

	begun, ending, ended bool
	err                  error // for onClose
}

// Attach listens at the addresses, which are those of evio.Serve, and has loop call
// the handlers: Serving first, in the loop's next iteration. If it returns an error,
// it listens nowhere, and no handler is called.
//
// The host of an address may be a name: then Attach waits for the resolver.
//
// When the loop ends before the server, the connections' Closed gets reactor.ErrClosed.
func Attach(loop *reactor.Loop, events evio.Events, addr ...string) (*Server, error) {
	s := &Server{loop: loop, events: events}
	for i, text := range addr {
		p, err := s.listen(i, parseAddress(text))
		if err != nil {
			s.unlisten()
			return nil, err
		}
		s.places = append(s.places, p)
	}
	if loop.Closing() {
		return nil, reactor.ErrClosed // of no address, nobody else says so
	}
	s.release = loop.Hold()
	s.cleanup = loop.OnCleanup(s.loopEnded)
	loop.InitTimer(&s.timer, s.onTimer)
	s.timer.Reset(0)
	return s, nil
}

// Addrs are the addresses that the server listens at, in the order of Attach, with
// the ports that the system has chosen.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.places))
	for i, p := range s.places {
		addrs[i] = p.local
	}
	return addrs
}

// OnClose has fn called once, on the loop, when the server has ended: nothing is
// listened at, and Closed or Detached has been called for each connection. err is nil
// after Close, Shutdown and the action evio.Shutdown, and reactor.ErrClosed if the loop has
// ended first. If the server has ended already, fn is called in the next iteration.
func (s *Server) OnClose(fn func(err error)) {
	s.onClose = fn
	if s.ended {
		// On a loop that has ended, too, nothing is called any more.
		_ = s.loop.Post(func() { fn(s.err) })
	}
}

// begin calls Serving, before any other handler. It is called by the timer, or by
// what has come earlier.
func (s *Server) begin() {
	if s.begun || s.ending {
		return
	}
	s.begun = true
	if s.events.Serving == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			s.Close() // a server that has not begun would serve all the same
		}
	}()
	action := s.events.Serving(evio.Server{Addrs: s.Addrs(), NumLoops: 1})
	returned = true
	s.act(action)
}

// onTimer is called at once, and then when Tick is due.
func (s *Server) onTimer() {
	s.begin()
	if s.ending || s.events.Tick == nil {
		return
	}
	delay, action := s.events.Tick()
	s.act(action)
	if !s.ending {
		s.timer.Reset(delay)
	}
}

// act does what a handler asks that has no connection to close or to detach.
func (s *Server) act(action evio.Action) {
	if action == evio.Shutdown {
		s.Shutdown()
	}
}

func (s *Server) preWrite() {
	if s.events.PreWrite != nil {
		s.events.PreWrite()
	}
}

// cause is what evio gives to Closed: the number of the system's error, so that
// handlers can compare it.
func cause(err error) error {
	if op, ok := errors.AsType[*reactor.OpError](err); ok {
		return op.Err
	}
	return err
}
