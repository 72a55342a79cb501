package main

import (
	"context"
	"errors"
	"sync"

	"github.com/cloudwego/netpoll"
)

func netpollContestant() Contestant {
	// "It will close all idle connections on the server, but will not change the
	// underlying pollers" (EventLoop.Shutdown, eventloop.go).
	const pollersStay = "documented: the pollers stay"
	return Contestant{
		Name: "netpoll", Module: "github.com/cloudwego/netpoll", Serve: serveNetpoll,
		Remarks: map[string]string{"stop-callback": pollersStay, "stop-goroutine": pollersStay, "stop-at-once": pollersStay},
	}
}

// A netpollServer is the guide's server (docs/guide/guide_en.md): OnRequest
// reads what there is, writes by Writer and flushes.
type netpollServer struct {
	binding *Binding
	loop    netpoll.EventLoop
	done    chan struct{} // closed when Shutdown has returned
}

type netpollKey struct{}

func serveNetpoll(b *Binding) error {
	listener, err := netpoll.CreateListener(b.Network, b.Address)
	if err != nil {
		return err
	}
	s := &netpollServer{binding: b, done: make(chan struct{})}
	s.loop, err = netpoll.NewEventLoop(s.onRequest, netpoll.WithOnPrepare(s.onPrepare))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	serving := &netpollListener{Listener: listener, begun: func() { b.ready(s.stop) }}
	if err := s.loop.Serve(serving); err != nil {
		return err
	}
	<-s.done
	return nil
}

// A netpollListener tells when Serve has begun, which otherwise gives no sign
// of it before the first connection, and does not heed a Shutdown before: it
// asks the listener for its descriptor, under the lock that Shutdown takes.
type netpollListener struct {
	netpoll.Listener
	once  sync.Once
	begun func()
}

func (l *netpollListener) Fd() int {
	l.once.Do(l.begun)
	return l.Listener.Fd()
}

// onPrepare is where the guide makes a connection's state, and close callbacks
// are where it is released: they run whichever side closed.
func (s *netpollServer) onPrepare(c netpoll.Connection) context.Context {
	session := s.binding.newSession()
	c.AddCloseCallback(func(netpoll.Connection) error {
		session.closed()
		return nil
	})
	return context.WithValue(context.Background(), netpollKey{}, session)
}

func (s *netpollServer) onRequest(ctx context.Context, c netpoll.Connection) error {
	session := ctx.Value(netpollKey{}).(*session)
	if s.binding.Role == roleAfterEOF {
		return s.untilEOF(c, session)
	}
	in, err := c.Reader().Next(c.Reader().Len())
	if err != nil {
		return err
	}
	var a answer
	if len(in) > 0 {
		a = session.data(in)
	}
	if a.push {
		// No OnRequest writes meanwhile: one goroutine at a time may.
		go session.push(func(p []byte) error { return s.obey(c, answer{vector: [][]byte{p}}) })
	}
	return errors.Join(s.obey(c, a), c.Reader().Release())
}

// untilEOF blocks in OnRequest, which has a goroutine of its own, until the
// reader says that no more will come.
func (s *netpollServer) untilEOF(c netpoll.Connection, session *session) error {
	for {
		in, err := c.Reader().Next(1)
		if err != nil {
			return s.obey(c, session.eof())
		}
		session.data(in)
	}
}

// obey writes copies, into buffers of the Writer: it sends them without
// copying, and an echo's are released after Flush, which waits until all is sent.
func (s *netpollServer) obey(c netpoll.Connection, a answer) error {
	for _, p := range a.vector {
		if len(p) == 0 {
			continue
		}
		out, err := c.Writer().Malloc(len(p))
		if err != nil {
			return err
		}
		copy(out, p)
	}
	if len(a.vector) > 0 {
		if err := c.Writer().Flush(); err != nil {
			s.binding.refused("Flush", err)
			return err
		}
	}
	if a.close {
		return c.Close()
	}
	if a.stop {
		go s.stop() // Shutdown waits for requests in progress, and this is one
	}
	return nil
}

// stop is the guide's Shutdown, with more time than the driver's patience.
func (s *netpollServer) stop() {
	defer close(s.done)
	s.binding.refused("Shutdown", s.loop.Shutdown(context.Background()))
}
