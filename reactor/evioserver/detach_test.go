//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tidwall/evio"
)

// detaching returns handlers that detach with an answer, and what was detached.
func detaching(t *testing.T, out []byte) (evio.Events, <-chan io.ReadWriteCloser) {
	detached := make(chan io.ReadWriteCloser, 1)
	return evio.Events{
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) { return out, evio.Detach },
		Detached: func(c evio.Conn, rwc io.ReadWriteCloser) evio.Action {
			c.Wake() // which is nobody's any more
			detached <- rwc
			return evio.None
		},
		Closed: func(evio.Conn, error) evio.Action { t.Error("closed"); return evio.None },
	}, detached
}

// The connection goes on, blocking, behind what was returned, whether the kernel has taken that at once or not.
func TestDetachGivesABlockingConnection(t *testing.T) {
	for _, size := range []int{0, 100, 8 << 20} {
		out := bytes.Repeat([]byte("o"), size)
		events, detached := detaching(t, out)
		r := start(t, events, anyPort, "unix://"+socketPath(t))
		for i := range r.addrs {
			c := r.dial(i)
			send(t, c, "x")
			expect(t, c, string(out))
			rwc := receive(t, detached)
			done := make(chan error, 1)
			go func() { // it waits for what has not been sent yet
				buf := make([]byte, 5)
				_, err := io.ReadFull(rwc, buf)
				if err == nil {
					_, err = rwc.Write(append(buf, make([]byte, 4<<20)...))
				}
				done <- err
			}()
			send(t, c, "hello")
			expect(t, c, "hello")
			_, err := io.CopyN(io.Discard, c, 4<<20)
			must(t, err)
			must(t, receive(t, done))
			must(t, rwc.Close())
			expectEnd(t, c, "")
		}
	}
}

// What the client has sent behind what Data got is read from the connection: no byte is lost between the two.
func TestDetachLosesNoInput(t *testing.T) {
	const size = 1 << 20
	given := make(chan []byte, 1)
	events, detached := detaching(t, nil)
	events.Data = func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
		given <- in
		return nil, evio.Detach
	}
	r := start(t, events, anyPort)
	c := r.dial(0)
	input := make([]byte, size)
	for i := range input {
		input[i] = byte(i >> 8)
	}
	go func() {
		_, _ = c.Write(input)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	rwc := receive(t, detached)
	rest, err := io.ReadAll(rwc)
	must(t, err)
	must(t, rwc.Close())
	if got := append(receive(t, given), rest...); !bytes.Equal(got, input) {
		t.Errorf("%d bytes came of %d, or others", len(got), size)
	}
}

func TestDetachedConnectionOutlivesTheServer(t *testing.T) {
	events, detached := detaching(t, []byte("out"))
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	rwc := receive(t, detached)
	must(t, r.loop.Post(r.server.Close))
	must(t, receive(t, r.ended))
	_, err := io.WriteString(rwc, " and more")
	must(t, err)
	must(t, rwc.Close())
	expectEnd(t, c, "out and more")
}

func TestDetachAtTheEndOfInput(t *testing.T) {
	events, detached := detaching(t, nil)
	events.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		if in != nil {
			c.Wake()
			return nil, evio.None
		}
		return []byte("now"), evio.Detach
	}
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	closeWrite(t, c)
	rwc := receive(t, detached)
	expectEnd(t, rwc, "")
	_, err := io.WriteString(rwc, " then")
	must(t, err)
	must(t, rwc.Close())
	expectEnd(t, c, "now then")
}

func TestDetachFromOpened(t *testing.T) {
	events, detached := detaching(t, nil)
	events.Opened = func(evio.Conn) ([]byte, evio.Options, evio.Action) {
		return []byte("out"), evio.Options{TCPKeepAlive: time.Minute}, evio.Detach
	}
	r := start(t, events, anyPort)
	c := r.dial(0)
	expect(t, c, "out")
	rwc := receive(t, detached)
	if on := keepAliveOf(t, rwc.(*net.TCPConn)); !on {
		t.Error("keep-alive is off")
	}
	must(t, rwc.Close())
}

func TestDetachWithoutDetachedCloses(t *testing.T) {
	events := evio.Events{Data: func(evio.Conn, []byte) ([]byte, evio.Action) { return []byte("out"), evio.Detach }}
	closed := tellClosed(&events)
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expectEnd(t, c, "out")
	c.Close()
	if e := receive(t, closed); e.err != nil {
		t.Errorf("closed with %v", e.err)
	}
}

func TestKeepAliveIsWhatOptionsAskFor(t *testing.T) {
	for _, d := range []time.Duration{0, time.Minute} {
		events, detached := detaching(t, nil)
		events.Opened = func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			return nil, evio.Options{TCPKeepAlive: d}, evio.None
		}
		r := start(t, events, anyPort)
		c := r.dial(0)
		send(t, c, "x")
		rwc := receive(t, detached)
		if on := keepAliveOf(t, rwc.(*net.TCPConn)); on != (d > 0) {
			t.Errorf("TCPKeepAlive %v: keep-alive %v", d, on)
		}
		must(t, rwc.Close())
	}
}
