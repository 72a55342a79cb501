//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor/evioserver"
)

// serve runs Serve on a goroutine, and returns where it listens and what it will return.
func serve(t *testing.T, events evio.Events, addrs ...string) ([]net.Addr, <-chan error) {
	t.Helper()
	leaktest.Check(t)
	serving, ended := make(chan []net.Addr, 1), make(chan error, 1)
	events.Serving = func(s evio.Server) evio.Action {
		if s.NumLoops != 1 {
			t.Errorf("%d loops", s.NumLoops)
		}
		serving <- s.Addrs
		return evio.None
	}
	events.NumLoops, events.LoadBalance = 4, evio.LeastConnections // one all the same
	go func() { ended <- evioserver.Serve(events, addrs...) }()
	return receive(t, serving), ended
}

func TestServeReturnsNilAfterShutdown(t *testing.T) {
	closed := 0
	addrs, ended := serve(t, evio.Events{
		Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
			if string(in) == "stop" {
				return []byte("bye"), evio.Shutdown
			}
			return in, evio.None
		},
		Closed: func(_ evio.Conn, err error) evio.Action {
			if err != nil {
				t.Errorf("closed with %v", err)
			}
			closed++
			return evio.None
		},
	}, anyPort)
	idle, asker := dial(t, addrs[0]), dial(t, addrs[0])
	send(t, idle, "hello")
	expect(t, idle, "hello")
	send(t, asker, "stop")
	expectEnd(t, asker, "bye")
	asker.Close()
	must(t, receive(t, ended))
	expectEnd(t, idle, "")
	if closed != 2 {
		t.Errorf("%d connections were closed", closed)
	}
	if c, err := net.Dial("tcp", addrs[0].String()); err == nil {
		c.Close()
		t.Error("it listens still")
	}
}

func TestServeReturnsThoughTheAskerStays(t *testing.T) {
	addrs, ended := serve(t, evio.Events{
		Data: func(evio.Conn, []byte) ([]byte, evio.Action) { return []byte("bye"), evio.Shutdown },
	}, anyPort)
	c := dial(t, addrs[0])
	send(t, c, "stop")
	expectEnd(t, c, "bye")
	must(t, receive(t, ended))
}

func TestEveryHandlerMayShutDown(t *testing.T) {
	detach := func(evio.Conn, []byte) ([]byte, evio.Action) { return nil, evio.Detach }
	shutdown := func(evio.Conn, error) evio.Action { return evio.Shutdown }
	for name, events := range map[string]evio.Events{
		"Opened": {Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			return []byte("out"), evio.Options{}, evio.Shutdown
		}},
		"Closed": {Closed: shutdown},
		"Detached": {Data: detach, Detached: func(_ evio.Conn, rwc io.ReadWriteCloser) evio.Action {
			rwc.Close()
			return evio.Shutdown
		}},
		"Closed without Detached": {Data: detach, Closed: shutdown},
		"Tick":                    {Tick: func() (time.Duration, evio.Action) { return time.Hour, evio.Shutdown }},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			addrs, ended := serve(t, events, anyPort)
			if events.Tick == nil {
				c := dial(t, addrs[0])
				send(t, c, "x")
				closeWrite(t, c)
				if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Error(err)
				}
			}
			must(t, receive(t, ended))
		})
	}
}

func TestServingMayShutDown(t *testing.T) {
	leaktest.Check(t)
	must(t, evioserver.Serve(evio.Events{
		Serving: func(evio.Server) evio.Action { return evio.Shutdown },
		Tick:    func() (time.Duration, evio.Action) { t.Error("ticks"); return 0, evio.None },
	}, anyPort))
}

func TestServeNeedsNoAddress(t *testing.T) {
	leaktest.Check(t)
	ticks := 0
	must(t, evioserver.Serve(evio.Events{
		Tick: func() (time.Duration, evio.Action) {
			if ticks++; ticks == 3 {
				return 0, evio.Shutdown
			}
			return time.Millisecond, evio.None
		},
	}))
	if ticks != 3 {
		t.Errorf("%d ticks", ticks)
	}
}

func TestServeReturnsTheErrorOfAnAddress(t *testing.T) {
	leaktest.Check(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for address, want := range map[string]error{
		"tcp://" + taken.Addr().String(): syscall.EADDRINUSE,
		"foo://localhost:0":              net.UnknownNetworkError("foo"),
		"tcp://127.0.0.1:99999":          nil,
		"unix://":                        nil,
		"tcp://name.invalid:0":           nil, // RFC 6761: it never exists
	} {
		err := evioserver.Serve(evio.Events{
			Serving: func(evio.Server) evio.Action { t.Error("serves"); return evio.Shutdown },
		}, anyPort, address)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestManyAddresses(t *testing.T) {
	events := evio.Events{Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		return append(in, byte('0'+c.AddrIndex())), evio.None
	}}
	r := start(t, events, anyPort, "tcp4://127.0.0.1:0", "udp4-net://127.0.0.1:0", "unix://"+socketPath(t), "localhost:0", "udp://127.0.0.1:0")
	for i, addr := range r.addrs {
		c := dial(t, addr)
		send(t, c, "address ")
		expect(t, c, "address "+string(byte('0'+i)))
	}
}

func TestReusePortSharesAnAddress(t *testing.T) {
	r := start(t, evio.Events{Data: echo}, "tcp://127.0.0.1:0?reuseport=true", "udp://127.0.0.1:0?reuseport=1")
	for _, addr := range r.addrs {
		for suffix, want := range map[string]error{"": syscall.EADDRINUSE, "?reuseport=t": nil} {
			done := make(chan error, 1)
			must(t, r.loop.Post(func() {
				other, err := evioserver.Attach(r.loop, evio.Events{}, addr.Network()+"://"+addr.String()+suffix)
				if err == nil {
					other.Close()
				}
				done <- err
			}))
			if err := receive(t, done); !errors.Is(err, want) {
				t.Errorf("%v%s: %v, want %v", addr, suffix, err, want)
			}
		}
	}
}
