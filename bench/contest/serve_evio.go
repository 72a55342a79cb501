package main

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/evio"
)

func evioContestant() Contestant {
	return Contestant{
		Name: "evio", Module: "github.com/tidwall/evio",
		Serve: func(b *Binding) error { return serveEvioHandlers(b, evio.Serve) },
		// evio.Events has no event for the end of reading, and Closed comes after
		// the descriptor is closed (evio_unix.go, loopRead and loopCloseConn).
		Remarks: map[string]string{"half-close": "unsupported: no event for it in evio.Events"},
	}
}

// evioTick is how often a server that may be told to stop from outside looks:
// evio.Serve ends only by an Action, and Tick is the event for doing so
// without a client. The other roles have no Tick.
const evioTick = 50 * time.Millisecond

// serveEvioHandlers is evio's server, whoever runs its handlers.
func serveEvioHandlers(b *Binding, serve func(evio.Events, ...string) error) error {
	var stopped atomic.Bool
	events := evio.Events{
		Serving: func(evio.Server) evio.Action {
			b.ready(func() { stopped.Store(true) })
			return evio.None
		},
		Opened: func(c evio.Conn) (out []byte, opts evio.Options, action evio.Action) {
			c.SetContext(&evioConn{session: b.newSession()})
			return nil, evio.Options{}, evio.None
		},
		Closed: func(c evio.Conn, err error) evio.Action {
			// A connection that was accepted and not yet opened is closed at shutdown.
			if e, opened := c.Context().(*evioConn); opened {
				e.session.closed()
			}
			return evio.None
		},
		// Bytes and action are returned together, which is the documented way to
		// close once they are written (loopRun writes before it acts).
		Data: func(c evio.Conn, in []byte) (out []byte, action evio.Action) {
			return c.Context().(*evioConn).onData(c, in)
		},
	}
	if b.Role == roleStop {
		events.Tick = func() (time.Duration, evio.Action) {
			if stopped.Load() {
				return evioTick, evio.Shutdown
			}
			return evioTick, evio.None
		}
	}
	return serve(events, b.Network+"://"+b.Address)
}

// An evioConn is a connection's context.
type evioConn struct {
	session *session

	mu     sync.Mutex
	pushed []byte
}

// onData is called with nothing when Wake was: "Wake triggers a Data event for
// this connection" (evio.Conn), which is the only way to write from outside.
func (e *evioConn) onData(c evio.Conn, in []byte) (out []byte, action evio.Action) {
	if in == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		out, e.pushed = e.pushed, nil
		return out, evio.None
	}
	a := e.session.data(in)
	if a.push {
		go e.session.push(func(p []byte) error {
			e.mu.Lock()
			e.pushed = append(e.pushed, p...)
			e.mu.Unlock()
			c.Wake()
			return nil
		})
	}
	return evioBytes(a.vector), evioAction(a)
}

// evioBytes joins the buffers: evio takes one.
func evioBytes(vector [][]byte) []byte {
	if len(vector) == 1 {
		return vector[0]
	}
	return bytes.Join(vector, nil)
}

func evioAction(a answer) evio.Action {
	switch {
	case a.stop:
		return evio.Shutdown
	case a.close:
		return evio.Close
	}
	return evio.None
}
