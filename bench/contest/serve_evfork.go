package main

import (
	"context"
	"errors"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

const nameEvfork = "evfork"

func evforkContestant() Contestant { return Contestant{Name: nameEvfork, Serve: serveEvfork} }

type evforkServer struct {
	binding *Binding
	loop    *reactor.Loop
	err     error
}

func serveEvfork(b *Binding) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	s := &evforkServer{binding: b, loop: loop}
	if _, err := sock.Listen(loop, b.Network, b.Address, sock.ListenConfig{}, s.open); err != nil {
		return errors.Join(err, loop.Close())
	}
	b.ready(loop.Stop)
	return errors.Join(loop.Run(context.Background()), s.err, loop.Close())
}

func (s *evforkServer) fail(err error) {
	s.err = err
	s.loop.Stop()
}

// An evforkConn is one connection: a stream, paused while the client does not
// read what it is sent.
type evforkConn struct {
	server  *evforkServer
	stream  *reactor.Stream
	session *session
}

func (s *evforkServer) open(conn *sock.Conn) {
	c := &evforkConn{server: s, session: s.binding.newSession()}
	stream, err := conn.Stream(reactor.StreamConfig{
		OnData:  func(data []byte) { c.obey(c.session.data(data)) },
		OnEOF:   func() { c.obey(c.session.eof()) },
		OnDrain: c.onDrain,
		OnClose: func(error) { c.session.closed() },
	})
	if err != nil {
		s.fail(err)
		return
	}
	c.stream = stream
}

func (c *evforkConn) obey(a answer) {
	_ = c.stream.Writev(a.vector...) // OnClose will tell
	if c.stream.Congested() && !c.stream.Paused() {
		c.check(c.stream.Pause())
	}
	if a.close {
		c.stream.CloseAfterFlush(0)
	}
	if a.push {
		go c.session.push(c.write)
	}
	if a.stop {
		c.server.loop.Stop()
	}
}

// write is for other goroutines: it waits until the loop has taken the bytes.
func (c *evforkConn) write(p []byte) (err error) {
	doErr := c.server.loop.Do(context.Background(), func() { err = c.stream.Write(p) })
	return errors.Join(doErr, err)
}

func (c *evforkConn) onDrain() { c.check(c.stream.Resume()) }

func (c *evforkConn) check(err error) {
	if err != nil {
		c.server.fail(err)
	}
}
