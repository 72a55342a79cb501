package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

const nameEvfork = "evfork"

func evforkContestant() Contestant { return Contestant{Name: nameEvfork, Serve: serveEvfork} }

// acceptsPerEvent bounds how many connections are accepted before those that
// are open have their turn.
const acceptsPerEvent = 64

// acceptPause is how long no connection is accepted when descriptors ran out.
const acceptPause = 50 * time.Millisecond

// An evforkServer listens with plain sockets: a loop watches any descriptor.
type evforkServer struct {
	binding  *Binding
	loop     *reactor.Loop
	listener int
	accepts  *reactor.FDWatcher
	err      error
}

func serveEvfork(b *Binding) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	s := &evforkServer{binding: b, loop: loop}
	if s.listener, err = listenRaw(b.Network, b.Address); err != nil {
		return errors.Join(err, loop.Close())
	}
	if s.accepts, err = loop.WatchFD(s.listener, reactor.Read, s.onAcceptable); err == nil {
		b.ready(loop.Stop)
		err = errors.Join(loop.Run(context.Background()), s.err, s.accepts.Stop())
	}
	return errors.Join(err, unix.Close(s.listener), loop.Close())
}

func (s *evforkServer) onAcceptable(reactor.Ready) {
	for range acceptsPerEvent {
		fd, err := acceptRaw(s.listener)
		switch {
		case err == nil:
			s.open(fd)
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			s.pauseAccepting()
			return
		default:
			s.fail(err)
			return
		}
	}
}

func (s *evforkServer) pauseAccepting() {
	if err := s.accepts.Stop(); err != nil {
		s.fail(err)
		return
	}
	s.loop.AfterFunc(acceptPause, func() {
		if err := s.accepts.Start(); err != nil {
			s.fail(err)
		}
	})
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

func (s *evforkServer) open(fd int) {
	c := &evforkConn{server: s, session: s.binding.newSession()}
	stream, err := s.loop.NewStream(fd, fd, reactor.StreamConfig{
		OnData:  func(data []byte) { c.obey(c.session.data(data)) },
		OnEOF:   func() { c.obey(c.session.eof()) },
		OnDrain: c.onDrain,
		OnClose: func(error) { c.session.closed() },
	})
	if err != nil {
		unix.Close(fd)
		s.fail(err)
		return
	}
	c.stream = stream
}

func (c *evforkConn) obey(a answer) {
	for _, p := range a.vector {
		if err := c.stream.Write(p); err != nil {
			break // OnClose will tell
		}
	}
	if c.stream.Congested() && !c.stream.Paused() {
		c.check(c.stream.Pause())
	}
	if a.close {
		c.stream.CloseWrite()
		if c.stream.Paused() {
			c.check(c.stream.Resume())
		}
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
