package sock_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// connected returns the two ends of a connection of package net.
func connected(t testing.TB, network, address string) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	defer l.Close()
	a, err = net.Dial(network, l.Addr().String())
	must(t, err)
	b, err = l.Accept()
	must(t, err)
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { c.Close() })
		must(t, c.SetDeadline(time.Now().Add(guard)))
	}
	return a, b
}

func TestAdoptedConnectionWorksAndTheOriginalIsClosed(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			loop := newLoop(t)
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(shortDir(t), "s")
			}
			a, b := connected(t, network, address)
			var s *reactor.Stream
			s, err := sock.Adopt(loop, a, reactor.StreamConfig{
				OnData: func(p []byte) { s.Write(p) },
				OnEOF:  func() { s.CloseWrite() },
			})
			must(t, err)
			wantFlags(t, first(s.FDs()))
			if _, err := a.Write([]byte("x")); err == nil {
				t.Error("the original can still be written to")
			}
			data := pattern(1 << 20)
			go func() {
				b.Write(data)
				b.(interface{ CloseWrite() error }).CloseWrite()
			}()
			got := readAll(b)
			pollUntil(t, loop, s.Closed)
			if r := <-got; r.err != nil || !bytes.Equal(r.data, data) {
				t.Errorf("got %d bytes, %v", len(r.data), r.err)
			}
		})
	}
}

func TestAdoptEndsAReadOfTheOriginal(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	ended := readAll(a)
	got := ""
	_, err := sock.Adopt(loop, a, reactor.StreamConfig{OnData: func(p []byte) { got += string(p) }})
	must(t, err)
	if r := <-ended; r.err == nil {
		t.Error("the read of the original ended without an error")
	}
	_, err = b.Write([]byte("x"))
	must(t, err)
	pollUntil(t, loop, func() bool { return got == "x" })
}

func TestWhatCannotBeAdoptedIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	_, err := sock.Adopt(loop, tls.Client(a, &tls.Config{}), reactor.StreamConfig{})
	wantErr(t, err, sock.ErrNoDescriptor)
	p, q := net.Pipe()
	defer p.Close()
	defer q.Close()
	_, err = sock.Adopt(loop, p, reactor.StreamConfig{})
	wantErr(t, err, sock.ErrNoDescriptor)
	u, err := net.Dial("udp", "127.0.0.1:9")
	must(t, err)
	defer u.Close()
	_, err = sock.Adopt(loop, u, reactor.StreamConfig{})
	wantErr(t, err, unix.EPROTOTYPE)
	must(t, loop.Close())
	_, err = sock.Adopt(loop, a, reactor.StreamConfig{})
	wantErr(t, err, reactor.ErrClosed)

	_, err = a.Write([]byte("x"))
	must(t, err)
	if n, err := b.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("the connection that was not adopted: %d, %v", n, err)
	}
	closed, _ := connected(t, "tcp", "127.0.0.1:0")
	closed.Close()
	other := newLoop(t)
	_, err = sock.Adopt(other, closed, reactor.StreamConfig{})
	wantErr(t, err, net.ErrClosed)
}

func TestAdoptedListenerAccepts(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			loop := newLoop(t)
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(shortDir(t), "s")
			}
			original, err := net.Listen(network, address)
			must(t, err)
			l, err := sock.AdoptListener(loop, original, sock.ListenConfig{Backlog: 5}, func(c *sock.Conn) {
				_, err := echoStream(c)
				must(t, err)
			})
			must(t, err)
			if _, err := original.Accept(); err == nil {
				t.Error("the original still accepts")
			}
			if l.Addr().String() != original.Addr().String() {
				t.Errorf("address %v, want %v", l.Addr(), original.Addr())
			}
			c := client(t, l.Addr())
			_, err = c.Write([]byte("hello"))
			must(t, err)
			must(t, c.(interface{ CloseWrite() error }).CloseWrite())
			got := readAll(c)
			pollUntil(t, loop, func() bool { return len(got) > 0 })
			if r := <-got; string(r.data) != "hello" || r.err != nil {
				t.Errorf("got %q, %v", r.data, r.err)
			}
			l.Close()
			if network == "unix" {
				if _, err := os.Lstat(address); !os.IsNotExist(err) {
					t.Errorf("the file is still there: %v", err)
				}
			}
		})
	}
}

func TestAdoptedListenerIsNonBlocking(t *testing.T) {
	loop := newLoop(t)
	original, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	file, err := original.(*net.TCPListener).File()
	must(t, err)
	must(t, unix.SetNonblock(int(file.Fd()), false))
	must(t, file.Close())
	l, err := sock.AdoptListener(loop, original, sock.ListenConfig{}, ignore)
	must(t, err)
	wantFlags(t, l.FD())
}

func TestListenerThatCannotBeAdoptedIsLeftAlone(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(shortDir(t), "s")
	original, err := net.Listen("unix", path)
	must(t, err)
	defer original.Close()
	_, err = sock.AdoptListener(loop, tls.NewListener(original, &tls.Config{}), sock.ListenConfig{}, ignore)
	wantErr(t, err, sock.ErrNoDescriptor)
	_, err = sock.AdoptListener(loop, original, sock.ListenConfig{}, nil)
	wantErr(t, err, reactor.ErrInvalid)
	must(t, loop.Close())
	_, err = sock.AdoptListener(loop, original, sock.ListenConfig{}, ignore)
	wantErr(t, err, reactor.ErrClosed)
	client(t, sock.Addr{Path: path})
}

func TestDetachedStreamGoesOnAsAConnection(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	seen := ""
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{
		OnData:  func(p []byte) { seen += string(p) },
		OnClose: func(err error) { t.Errorf("OnClose: %v", err) },
	})
	must(t, err)
	_, err = b.Write([]byte("for the loop"))
	must(t, err)
	pollUntil(t, loop, func() bool { return seen == "for the loop" })
	must(t, s.Write([]byte("from the loop,")))
	conn, unread, err := sock.Detach(s)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(guard)))
	pollTimes(t, loop, 2)
	if len(unread) != 0 || !s.Closed() || loop.Stats().Refs != 0 {
		t.Errorf("unread %q, closed %v, %d references", unread, s.Closed(), loop.Stats().Refs)
	}
	_, err = b.Write([]byte("for the goroutine"))
	must(t, err)
	buf := make([]byte, 17)
	if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "for the goroutine" {
		t.Errorf("read %q, %v", buf, err)
	}
	_, err = conn.Write([]byte("from the goroutine"))
	must(t, err)
	must(t, conn.Close())
	if r := <-readAll(b); string(r.data) != "from the loop,from the goroutine" || r.err != nil {
		t.Errorf("the other side read %q, %v", r.data, r.err)
	}
	_, _, err = sock.Detach(s)
	wantErr(t, err, reactor.ErrClosed)
}

func TestDetachReturnsWhatTheReaderHasNotDelivered(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{})
	must(t, err)
	var conn net.Conn
	var unread []byte
	must(t, s.Reader().Push(reactor.Line(100), func(line []byte) {
		if string(line) != "STARTTLS" {
			t.Errorf("got line %q", line)
		}
		loop.Post(func() {
			conn, unread, err = sock.Detach(s)
			must(t, err)
		})
	}))
	_, err = b.Write([]byte("STARTTLS\nhello"))
	must(t, err)
	pollUntil(t, loop, func() bool { return conn != nil })
	defer conn.Close()
	must(t, b.(*net.TCPConn).CloseWrite())
	if r := <-readAll(conn); string(unread)+string(r.data) != "hello" || r.err != nil {
		t.Errorf("unread %q, then read %q, %v", unread, r.data, r.err)
	}
}

func TestBytesReadBeforeAreFedToTheReader(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	_, err := b.Write([]byte("one\ntwo\nth"))
	must(t, err)
	before := make([]byte, len("one\ntw"))
	_, err = io.ReadFull(a, before)
	must(t, err)
	var got []string
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{})
	must(t, err)
	must(t, s.Reader().Each(reactor.Line(100), func(line []byte) { got = append(got, string(line)) }))
	must(t, s.Reader().Feed(before))
	_, err = b.Write([]byte("ree\n"))
	must(t, err)
	pollUntil(t, loop, func() bool { return len(got) == 3 })
	if want := []string{"one", "two", "three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStreamWithQueuedBytesIsNotDetached(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{})
	must(t, err)
	data := pattern(8 << 20)
	must(t, s.Write(data))
	_, _, err = sock.Detach(s)
	wantErr(t, err, sock.ErrUnwritten)
	s.CloseWrite()
	got := readAll(b)
	pollUntil(t, loop, func() bool { return len(got) > 0 })
	if r := <-got; !bytes.Equal(r.data, data) {
		t.Errorf("got %d of %d bytes, %v", len(r.data), len(data), r.err)
	}
}

// TestQueuedBytesAreWrittenAndTheStreamIsDetachedInOnDrain: with a HighWater of 1, which makes the LowWater 0. So few
// bytes do not reach the default.
func TestQueuedBytesAreWrittenAndTheStreamIsDetachedInOnDrain(t *testing.T) {
	loop := newLoop(t)
	a, b := connected(t, "tcp", "127.0.0.1:0")
	must(t, a.(*net.TCPConn).SetWriteBuffer(4096))
	var s *reactor.Stream
	var conn net.Conn
	s, err := sock.Adopt(loop, a, reactor.StreamConfig{HighWater: 1, OnDrain: func() {
		var err error
		conn, _, err = sock.Detach(s)
		must(t, err)
	}})
	must(t, err)
	data := pattern(100_000)
	must(t, s.Write(data))
	_, _, err = sock.Detach(s)
	wantErr(t, err, sock.ErrUnwritten)
	got := readAll(b)
	pollUntil(t, loop, func() bool { return conn != nil })
	must(t, conn.Close())
	if r := <-got; !bytes.Equal(r.data, data) {
		t.Errorf("got %d of %d bytes, %v", len(r.data), len(data), r.err)
	}
}

func TestStreamOfAPipeIsNotDetached(t *testing.T) {
	loop := newLoop(t)
	var p [2]int
	must(t, unix.Pipe(p[:]))
	s, err := loop.NewStream(p[0], p[1], reactor.StreamConfig{})
	must(t, err)
	if _, _, err := sock.Detach(s); err == nil {
		t.Error("a connection was made of two pipes")
	}
	if s.Closed() {
		t.Error("the stream was closed")
	}
}
