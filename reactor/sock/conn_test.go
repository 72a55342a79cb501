package sock_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

func TestAThousandConnectionsEcho(t *testing.T) {
	const count = 1000
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	got := make([][]byte, count)
	open := 0
	for i := range count {
		_, err := sock.Dial(loop, "tcp", l.Addr().String(), sock.DialConfig{}, func(c *sock.Conn, err error) {
			must(t, err)
			s, err := c.Stream(reactor.StreamConfig{
				OnData:  func(p []byte) { got[i] = append(got[i], p...) },
				OnClose: func(err error) { must(t, err); open-- },
			})
			must(t, err)
			must(t, s.Write(pattern(i)))
			s.CloseWrite()
		})
		must(t, err)
		open++
	}
	pollUntil(t, loop, func() bool { return open == 0 })
	for i := range got {
		if !bytes.Equal(got[i], pattern(i)) {
			t.Fatalf("connection %d got %d bytes of %d, or others", i, len(got[i]), i)
		}
	}
	if n := l.Stats().Accepted; n != count {
		t.Errorf("accepted %d", n)
	}
}

// accepted waits for one connection and makes a stream of it.
func accepted(t testing.TB, loop *reactor.Loop, network, address string, config reactor.StreamConfig) (*reactor.Stream, net.Conn) {
	t.Helper()
	var s *reactor.Stream
	l := listen(t, loop, network, address, sock.ListenConfig{}, func(c *sock.Conn) {
		var err error
		s, err = c.Stream(config)
		must(t, err)
	})
	c := client(t, l.Addr())
	pollUntil(t, loop, func() bool { return s != nil })
	l.Close()
	return s, c
}

func TestServerAnswersAfterTheClientsHalfClose(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			loop := newLoop(t)
			answer := pattern(4 << 20)
			var s *reactor.Stream
			var request []byte
			var closed []error
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(shortDir(t), "s")
			}
			s, c := accepted(t, loop, network, address, reactor.StreamConfig{
				OnData: func(p []byte) { request = append(request, p...) },
				OnEOF: func() {
					must(t, s.Write(answer))
					s.CloseWrite()
				},
				OnClose: func(err error) { closed = append(closed, err) },
			})
			_, err := c.Write([]byte("request"))
			must(t, err)
			must(t, c.(interface{ CloseWrite() error }).CloseWrite())
			got := readAll(c)
			pollUntil(t, loop, func() bool { return len(closed) > 0 })
			if r := <-got; r.err != nil || !bytes.Equal(r.data, answer) {
				t.Errorf("the client got %d of %d bytes, %v", len(r.data), len(answer), r.err)
			}
			if string(request) != "request" || len(closed) != 1 || closed[0] != nil {
				t.Errorf("request %q, OnClose %v", request, closed)
			}
		})
	}
}

type result struct {
	data []byte
	err  error
}

// readAll reads to the end on a goroutine.
func readAll(r io.Reader) <-chan result {
	done := make(chan result, 1)
	go func() {
		data, err := io.ReadAll(r)
		done <- result{data, err}
	}()
	return done
}

func TestResetAfterDataIsEOF(t *testing.T) {
	loop := newLoop(t)
	var got []byte
	eofs := 0
	var closed []error
	s, c := accepted(t, loop, "tcp", "127.0.0.1:0", reactor.StreamConfig{
		OnData:  func(p []byte) { got = append(got, p...) },
		OnEOF:   func() { eofs++ },
		OnClose: func(err error) { closed = append(closed, err) },
	})
	// Our bytes, which the client does not read, make its close a reset.
	must(t, s.Write([]byte("unread")))
	pollTimes(t, loop, 2)
	data := pattern(10 << 10) // it is all sent at once: what is not, the reset takes back
	_, err := c.Write(data)
	must(t, err)
	must(t, c.(*net.TCPConn).SetLinger(0))
	must(t, c.Close())
	pollUntil(t, loop, func() bool { return len(closed) > 0 })
	pollTimes(t, loop, 3)
	if !bytes.Equal(got, data) || eofs != 1 || len(closed) != 1 || !errors.Is(closed[0], unix.ECONNRESET) {
		t.Errorf("got %d of %d bytes, %d EOFs, OnClose %v", len(got), len(data), eofs, closed)
	}
}

func TestResetTellsTheOtherSide(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		loop := newLoop(t)
		done, onClose := false, 0
		l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
			done = true
			if !streamed {
				must(t, c.Reset())
				must(t, c.Reset())
				return
			}
			s, err := c.Stream(reactor.StreamConfig{OnClose: func(err error) {
				must(t, err)
				onClose++
			}})
			must(t, err)
			must(t, sock.Reset(s))
			must(t, sock.Reset(s))
		})
		c := client(t, l.Addr())
		pollUntil(t, loop, func() bool { return done })
		pollTimes(t, loop, 1)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client read: %v", err)
		}
		if streamed && onClose != 1 {
			t.Errorf("OnClose was called %d times", onClose)
		}
	}
}

func TestConnShutsDownOneDirection(t *testing.T) {
	loop := newLoop(t)
	done := false
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, func(c *sock.Conn) {
		done = true
		must(t, c.CloseWrite())
		if _, err := unix.Write(c.FD(), []byte("x")); !errors.Is(err, unix.EPIPE) {
			t.Errorf("write after CloseWrite: %v", err)
		}
		must(t, c.CloseRead())
		if n, err := unix.Read(c.FD(), make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("read after CloseRead: %d, %v", n, err)
		}
	})
	client(t, l.Addr())
	pollUntil(t, loop, func() bool { return done })
}

func TestSlowReaderBoundsTheProducer(t *testing.T) {
	const total, highWater, piece = 8 << 20, 256 << 10, 16 << 10
	loop := newLoop(t)
	data := pattern(total)
	sent, most := 0, 0
	var s *reactor.Stream
	produce := func() {
		for sent < total && !s.Congested() {
			must(t, s.Write(data[sent:sent+piece]))
			sent += piece
			most = max(most, s.Buffered())
		}
		if sent == total {
			s.CloseWrite()
		}
	}
	s, c := accepted(t, loop, "tcp", "127.0.0.1:0", reactor.StreamConfig{HighWater: highWater, OnDrain: func() { produce() }})
	produce()
	pollTimes(t, loop, 10)
	if sent == total {
		t.Fatal("all of it fits in the kernel: nothing is tested")
	}
	got := readAll(c)
	pollUntil(t, loop, func() bool { return len(got) > 0 })
	if r := <-got; r.err != nil || !bytes.Equal(r.data, data) {
		t.Errorf("got %d of %d bytes, %v", len(r.data), total, r.err)
	}
	if most > highWater+piece {
		t.Errorf("%d bytes were queued, want at most %d", most, highWater+piece)
	}
}

func TestErrorsOfDescriptorsThatAreNoSockets(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	_, err = sock.LocalAddr(fd)
	wantErr(t, err, unix.ENOTSOCK)
	_, err = sock.RemoteAddr(fd)
	wantErr(t, err, unix.ENOTSOCK)
	wantErr(t, sock.SetNoDelay(fd, true), unix.ENOTSOCK)
	wantErr(t, sock.SetKeepAlive(fd, sock.KeepAlive{}), unix.ENOTSOCK)
	wantErr(t, sock.SetKeepAlive(fd, sock.KeepAlive{Idle: -1}), reactor.ErrInvalid)
}

func TestLoopCloseEndsEverythingThatIsOpen(t *testing.T) {
	loop := newLoop(t)
	l := echo(t, loop, "tcp", "127.0.0.1:0")
	var ended []error
	for range 10 {
		_, d := dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{}, reactor.StreamConfig{
			OnClose: func(err error) { ended = append(ended, err) },
		})
		pollUntil(t, loop, d.done)
	}
	pollUntil(t, loop, func() bool { return l.Stats().Accepted == 10 })
	client(t, l.Addr()) // not accepted yet
	dial(t, loop, "tcp", l.Addr().String(), sock.DialConfig{}, reactor.StreamConfig{})
	dial(t, loop, "tcp", "slow.test.:1", sock.DialConfig{Resolver: hangingResolver()}, reactor.StreamConfig{})
	_, err := sock.ListenPacket(loop, "udp", "127.0.0.1:0", sock.PacketConfig{})
	must(t, err)
	must(t, loop.Close())
	if len(ended) != 10 {
		t.Errorf("%d of 10 streams were told", len(ended))
	}
	for _, err := range ended {
		wantErr(t, err, reactor.ErrClosed)
	}
}
