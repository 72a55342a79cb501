//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

func TestDatagramsAreAnswered(t *testing.T) {
	preWrites, writes := 0, make(chan int, 1)
	r := start(t, evio.Events{
		PreWrite: func() { preWrites++ },
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			c.Wake() // of which nothing comes
			if c.Context() != nil {
				t.Errorf("context %v", c.Context())
			}
			c.SetContext(1)
			if _, ok := c.RemoteAddr().(*net.UDPAddr); !ok || c.AddrIndex() != 0 {
				t.Errorf("from %v to address %d", c.RemoteAddr(), c.AddrIndex())
			}
			if string(in) == "quiet" {
				writes <- preWrites
				return nil, evio.Close
			}
			return append(in, c.RemoteAddr().String()+c.LocalAddr().String()...), evio.Detach
		},
		Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			t.Error("opened")
			return nil, evio.Options{}, evio.None
		},
		Closed:   func(evio.Conn, error) evio.Action { t.Error("closed"); return evio.None },
		Detached: nil,
	}, "udp://127.0.0.1:0")
	c := r.dial(0)
	for _, text := range []string{"", "one ", "two "} { // the empty one is passed over
		send(t, c, text)
	}
	buf := make([]byte, 100)
	for _, want := range []string{"one ", "two "} {
		n, err := c.Read(buf)
		must(t, err)
		if got := string(buf[:n]); got != want+c.LocalAddr().String()+r.addrs[0].String() {
			t.Errorf("got %q", got)
		}
	}
	send(t, c, "quiet")
	if n := receive(t, writes); n != 2 {
		t.Errorf("PreWrite was called %d times", n)
	}
}

func TestDatagramMayShutDown(t *testing.T) {
	addrs, ended := serve(t, evio.Events{Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
		return in, evio.Shutdown
	}}, "udp4://127.0.0.1:0")
	c := dial(t, addrs[0])
	send(t, c, "bye")
	expect(t, c, "bye")
	must(t, receive(t, ended))
}

// A socket that nobody listens at is replaced; one that somebody does, or another file,
// is not; and the own one is removed at the end.
func TestUnixSocketFile(t *testing.T) {
	path := socketPath(t)
	stale, err := net.Listen("unix", path)
	must(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, stale.Close())
	r := start(t, evio.Events{Data: echo}, "unix://"+path)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "x")

	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	defer loop.Close()
	if _, err := evioserver.Attach(loop, evio.Events{}, "unix://"+path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("of a socket in use: %v", err)
	}
	must(t, r.loop.Post(r.server.Close))
	must(t, receive(t, r.ended))
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	must(t, os.WriteFile(path, []byte("text"), 0o600))
	if _, err := evioserver.Attach(loop, evio.Events{}, "unix://"+path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("of a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "text" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
