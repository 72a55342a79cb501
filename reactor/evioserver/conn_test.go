//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tidwall/evio"
)

// A closing is a call of Closed.
type closing struct {
	c   evio.Conn
	err error
}

// tellClosed has the channel told of each.
func tellClosed(events *evio.Events) <-chan closing {
	closed := make(chan closing, 100)
	events.Closed = func(c evio.Conn, err error) evio.Action {
		closed <- closing{c, err}
		return evio.None
	}
	return closed
}

func TestOpenedComesFirstAndItsOutIsWritten(t *testing.T) {
	var events []string
	r := start(t, evio.Events{
		Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			events = append(events, "opened")
			return []byte("welcome"), evio.Options{}, evio.None
		},
		PreWrite: func() { events = append(events, "pre-write") },
		Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
			events = append(events, "data "+string(in))
			return []byte(strings.Join(events, ", ")), evio.None
		},
	}, anyPort)
	c := r.dial(0)
	expect(t, c, "welcome")
	send(t, c, "x")
	expect(t, c, "opened, pre-write, data x")
}

func TestConnKnowsItsAddressesAndContext(t *testing.T) {
	type mine struct{ n int }
	conns := make(chan evio.Conn, 1)
	r := start(t, evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			if c.Context() != nil {
				t.Errorf("context %v", c.Context())
			}
			c.SetContext(&mine{7})
			return nil, evio.Options{}, evio.None
		},
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			if c.Context().(*mine).n != 7 {
				t.Error("another context")
			}
			conns <- c
			return nil, evio.None
		},
	}, "tcp4://127.0.0.1:0", "unix://"+socketPath(t))
	for i := range r.addrs {
		client := r.dial(i)
		send(t, client, "x")
		c := receive(t, conns)
		if c.AddrIndex() != i || c.LocalAddr().String() != r.addrs[i].String() || c.LocalAddr().Network() != r.addrs[i].Network() {
			t.Errorf("address %d, local %v", c.AddrIndex(), c.LocalAddr())
		}
		if i == 0 && c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("remote %v, want %v", c.RemoteAddr(), client.LocalAddr())
		}
		if _, ok := c.RemoteAddr().(*net.UnixAddr); i == 1 && !ok {
			t.Errorf("remote %#v", c.RemoteAddr())
		}
	}
}

func TestInputIsTheHandlersUnlessItIsReused(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		var kept [][]byte
		r := start(t, evio.Events{
			Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
				return nil, evio.Options{ReuseInputBuffer: reuse}, evio.None
			},
			Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
				kept = append(kept, in)
				return in, evio.None
			},
		}, anyPort)
		c := r.dial(0)
		for _, text := range []string{"one", "two"} {
			send(t, c, text)
			expect(t, c, text)
		}
		got := make(chan string, 1)
		must(t, r.loop.Post(func() { got <- string(bytes.Join(kept, nil)) }))
		if text := receive(t, got); (text == "onetwo") == reuse {
			t.Errorf("reuse %v: %q was kept", reuse, text)
		}
	}
}

// What was returned before Close is written, however slowly the client reads, though
// input lies unread, by which a plain close would reset the connection.
func TestCloseWritesWhatWasReturned(t *testing.T) {
	const size = 8 << 20
	out := bytes.Repeat([]byte("01234567"), size/8)
	for _, small := range []bool{true, false} {
		want := out
		if small {
			want = out[:100]
		}
		events := evio.Events{Data: func(evio.Conn, []byte) ([]byte, evio.Action) { return want, evio.Close }}
		closed := tellClosed(&events)
		r := start(t, events, anyPort, "unix://"+socketPath(t))
		for i := range r.addrs {
			c := r.dial(i)
			send(t, c, "x")
			expect(t, c, string(want[:1]))
			wrote := make(chan bool)
			go func() {
				defer close(wrote)
				_, _ = c.Write(make([]byte, 1<<20)) // fails if it comes too late
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, want[1:]) {
				t.Errorf("small %v, %v: read %d bytes and error %v", small, r.addrs[i], len(got)+1, err)
			}
			receive(t, wrote)
			c.Close()
			if e := receive(t, closed); e.err != nil {
				t.Errorf("closed with %v", e.err)
			}
		}
	}
}

func TestNoEventAfterClose(t *testing.T) {
	var after []string
	closed := make(chan struct{})
	events := evio.Events{
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			after = append(after, string(in))
			c.Wake()
			return []byte("out"), evio.Close
		},
		Closed: func(c evio.Conn, err error) evio.Action {
			after = append(after, "closed")
			c.Wake()
			close(closed)
			return evio.Close // which means nothing here
		},
	}
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "out")
	send(t, c, "more")
	expectEnd(t, c, "")
	c.Close()
	receive(t, closed)
	got := make(chan []string, 1)
	must(t, r.loop.Post(func() { got <- slices.Clone(after) }))
	if events := receive(t, got); !slices.Equal(events, []string{"x", "closed"}) {
		t.Errorf("%q", events)
	}
}

func TestClosedGetsTheSystemsError(t *testing.T) {
	events := evio.Events{Data: echo}
	closed := tellClosed(&events)
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "x")
	must(t, c.(*net.TCPConn).SetLinger(0))
	must(t, c.Close())
	if e := receive(t, closed); e.err != syscall.ECONNRESET { // as handlers of evio compare it
		t.Errorf("closed with %v", e.err)
	}
}

func TestHandlersMayBeNil(t *testing.T) {
	r := start(t, evio.Events{}, anyPort, "udp://127.0.0.1:0")
	udp := r.dial(1)
	send(t, udp, "x")
	c := r.dial(0)
	send(t, c, "x")
	closeWrite(t, c)
	expectEnd(t, c, "")
}

// Every split of the input into two reads gives the same answers.
func TestInputAtEverySplit(t *testing.T) {
	const input = "one\ntwo\n\nthree\n"
	r := start(t, evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			c.SetContext(&evio.InputStream{})
			return []byte("? "), evio.Options{ReuseInputBuffer: true}, evio.None
		},
		Data: func(c evio.Conn, in []byte) (out []byte, action evio.Action) {
			stream := c.Context().(*evio.InputStream)
			data := stream.Begin(in)
			for {
				line, rest, found := bytes.Cut(data, []byte("\n"))
				if !found {
					break
				}
				out, data = append(append(out, line...), '.'), rest
			}
			stream.End(data)
			return append(out, '+'), action
		},
	}, anyPort)
	for at := 1; at < len(input); at++ {
		c := r.dial(0)
		expect(t, c, "? ")
		send(t, c, input[:at])
		first := strings.ReplaceAll(input[:strings.LastIndex(input[:at], "\n")+1], "\n", ".")
		expect(t, c, first+"+")
		send(t, c, input[at:])
		closeWrite(t, c)
		expectEnd(t, c, strings.ReplaceAll(input, "\n", ".")[len(first):]+"+")
	}
}
