package main

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Servers that are broken on purpose, one way each, so that the tests see the
// driver find it. Without a fault the same server does everything right.

// A fault is what is wrong with a broken server; a zero value is nothing.
type fault struct {
	name       string
	tamper     func(at int64, out []byte) [][]byte // of what is written, at an offset
	closes     int                                 // instead of 1 per connection; -1: none
	skipTail   bool                                // closes with bytes unread once the client has ended
	deafAtEOF  bool                                // closes at the client's EOF without answering
	overshoots bool                                // sends a byte behind a whole answer
	keepsOpen  bool                                // says that a connection is closed, and does not close it
	oneReset   bool                                // accepts nobody after a reset
	rstAtClose bool                                // drops what the kernel has not sent yet
	hoard      bool                                // buffers without a bound, and keeps it
	spin       bool
	inherit    bool // of each connection, a duplicate goes to children
	panics     bool // at the first byte
	returns    bool // from serving, when a connection opens
	deafToStop bool
	leak       bool // a goroutine and a descriptor, when stopped
}

func faults() []fault {
	return []fault{
		{name: "none"},
		{name: "loses", tamper: func(at int64, out []byte) [][]byte {
			if crosses(at, out, 100_000) {
				return [][]byte{out[1:]}
			}
			return [][]byte{out}
		}},
		{name: "repeats", tamper: func(at int64, out []byte) [][]byte {
			if crosses(at, out, 100_000) {
				return [][]byte{out, out}
			}
			return [][]byte{out}
		}},
		{name: "corrupts", tamper: func(at int64, out []byte) [][]byte {
			if crosses(at, out, 100_000) {
				out[len(out)/2] ^= 1
			}
			return [][]byte{out}
		}},
		{name: "never-closes", closes: -1},
		{name: "closes-twice", closes: 2},
		{name: "skips-tail", skipTail: true},
		{name: "deaf-at-eof", deafAtEOF: true},
		{name: "overshoots", overshoots: true},
		{name: "keeps-open", keepsOpen: true},
		{name: "one-reset", oneReset: true},
		{name: "rst-at-close", rstAtClose: true},
		{name: "hoards", hoard: true},
		{name: "spins", spin: true},
		{name: "inherits", inherit: true},
		{name: "panics", panics: true},
		{name: "returns", returns: true},
		{name: "deaf-to-stop", deafToStop: true},
		{name: "leaks", leak: true},
	}
}

func crosses(at int64, out []byte, offset int64) bool {
	return at <= offset && offset < at+int64(len(out))
}

func brokenContestants() []Contestant {
	var all []Contestant
	for _, f := range faults() {
		all = append(all, Contestant{Name: f.name, Serve: func(b *Binding) error { return (&brokenServer{fault: f, binding: b}).serve() }})
	}
	return all
}

type brokenServer struct {
	fault
	binding  *Binding
	listener net.Listener
	wg       sync.WaitGroup
	wasReset atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
	kept  [][]byte
}

func (s *brokenServer) serve() (err error) {
	if s.listener, err = net.Listen(s.binding.Network, s.binding.Address); err != nil {
		return err
	}
	s.binding.ready(s.stop)
	if s.spin {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
	for {
		if s.wasReset.Load() {
			select {}
		}
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			s.wg.Wait()
			return s.leakWhenStopped()
		case err != nil:
			time.Sleep(10 * time.Millisecond) // descriptors ran out
			continue
		case s.returns:
			return errors.New("a connection came")
		}
		s.wg.Add(1)
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		session := s.binding.newSession()
		go s.run(conn, session)
	}
}

func (s *brokenServer) leakWhenStopped() error {
	if !s.leak {
		return nil
	}
	go func() { select {} }()
	_, err := unix.Dup(0)
	return err
}

func (s *brokenServer) stop() {
	if s.deafToStop {
		return
	}
	s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
}

func (s *brokenServer) run(conn net.Conn, session *session) {
	defer s.wg.Done()
	if s.inherit {
		raw, _ := conn.(*net.TCPConn).SyscallConn()
		raw.Control(func(fd uintptr) { unix.Dup(int(fd)) })
	}
	out := make(chan answer, 1)
	if s.hoard {
		out = make(chan answer, 8<<10)
	}
	written := make(chan struct{})
	go func() {
		s.write(conn, out)
		close(written)
	}()
	s.read(conn, session, out)
	close(out)
	<-written
	if s.rstAtClose {
		conn.(*net.TCPConn).SetLinger(0)
	}
	if !s.keepsOpen {
		conn.Close()
	}
	switch {
	case s.closes < 0:
	default:
		for range max(s.closes, 1) {
			session.closed()
		}
	}
}

// read takes bytes until the session wants to close or the client has ended.
func (s *brokenServer) read(conn net.Conn, session *session, out chan<- answer) {
	for {
		buf := make([]byte, 16<<10)
		n, err := conn.Read(buf)
		if n > 0 {
			if s.panics {
				panic("broken on purpose")
			}
			if s.hoard {
				s.mu.Lock()
				s.kept = append(s.kept, buf)
				s.mu.Unlock()
			}
			a := session.data(buf[:n])
			a.vector = append([][]byte(nil), a.vector...)
			if a.stop {
				go s.stop()
			}
			if a.push {
				session.push(func(p []byte) error {
					out <- answer{vector: [][]byte{p}}
					return nil
				})
			}
			out <- a
			if a.close || s.skipTail && session.record.total() > 100_000 {
				return
			}
		}
		if s.oneReset && errors.Is(err, syscall.ECONNRESET) {
			s.wasReset.Store(true)
		}
		if err == io.EOF && !s.deafAtEOF {
			out <- session.eof()
		}
		if err != nil {
			return
		}
	}
}

func (s *brokenServer) write(conn net.Conn, out <-chan answer) {
	at := int64(0)
	for a := range out {
		for _, p := range a.vector {
			pieces := [][]byte{p}
			if s.tamper != nil && len(p) > 0 {
				pieces = s.tamper(at, p)
			}
			at += int64(len(p))
			for _, piece := range pieces {
				if _, err := conn.Write(piece); err != nil && !errors.Is(err, os.ErrClosed) {
					break
				}
			}
			if s.overshoots && at == int64(s.binding.Size) {
				time.Sleep(sinkPause) // so that it mostly comes by itself: the verdict is the same if the client reads it with the answer
				more := make([]byte, 1)
				s.binding.pattern().fill(more, at)
				conn.Write(more)
			}
		}
	}
}
