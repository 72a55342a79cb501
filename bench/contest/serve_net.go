package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

func netContestant() Contestant { return Contestant{Name: "net", Serve: serveNet} }

// A netServer is the standard library's way: a goroutine per connection, which
// blocks.
type netServer struct {
	binding  *Binding
	listener net.Listener

	mu      sync.Mutex
	stopped bool
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

func serveNet(b *Binding) error {
	listener, err := net.Listen(b.Network, b.Address)
	if err != nil {
		return err
	}
	s := &netServer{binding: b, listener: listener, conns: map[net.Conn]bool{}}
	b.ready(s.stop)
	err = s.accept()
	s.wg.Wait()
	return err
}

// accept backs off when descriptors run out, as net/http's server does.
func (s *netServer) accept() error {
	var delay time.Duration
	for {
		conn, err := s.listener.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			delay = 0
			s.open(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.As(err, &temporary) && temporary.Temporary():
			delay = min(max(5*time.Millisecond, 2*delay), time.Second)
			time.Sleep(delay)
		default:
			return err
		}
	}
}

func (s *netServer) open(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		conn.Close()
		return
	}
	s.conns[conn] = true
	s.wg.Add(1)
	session := s.binding.newSession()
	go func() {
		defer s.wg.Done()
		s.serve(conn, session)
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		session.closed()
	}()
}

func (s *netServer) serve(conn net.Conn, session *session) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if n > 0 && !s.obey(conn, session, session.data(buf[:n])) {
			return
		}
		if err == io.EOF {
			s.obey(conn, session, session.eof())
		}
		if err != nil {
			return
		}
	}
}

// obey reports whether the connection goes on.
func (s *netServer) obey(conn net.Conn, session *session, a answer) bool {
	if a.push {
		go session.push(func(p []byte) error {
			_, err := conn.Write(p)
			return err
		})
	}
	if a.stop {
		s.stop()
	}
	vector := net.Buffers(a.vector)
	if len(vector) == 1 { // an echo's is reused
		_, err := conn.Write(vector[0])
		return err == nil && !a.close
	}
	_, err := vector.WriteTo(conn)
	return err == nil && !a.close
}

// stop is what a server on net has to do by itself.
func (s *netServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
}
