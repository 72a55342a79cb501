//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

func TestHalfCloseIsAnsweredAndThenClosed(t *testing.T) {
	const size = 4 << 20 // more than the kernel takes
	events := evio.Events{Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
		return bytes.Repeat(in[:1], size), evio.None
	}}
	closed := tellClosed(&events)
	r := start(t, events, anyPort, "unix://"+socketPath(t))
	for i := range r.addrs {
		c := r.dial(i)
		send(t, c, "x")
		closeWrite(t, c)
		got, err := io.ReadAll(c)
		if err != nil || len(got) != size {
			t.Errorf("%v: read %d bytes and error %v", r.addrs[i], len(got), err)
		}
		if e := receive(t, closed); e.err != nil {
			t.Errorf("closed with %v", e.err)
		}
	}
}

// A client sends the end of its writing together with what it sends, so a Wake of the
// handler comes before the end is noticed.
func TestWakeBeforeTheEndIsAnswered(t *testing.T) {
	r := start(t, evio.Events{Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		if in == nil {
			return []byte("later"), evio.None
		}
		c.Wake()
		return []byte("now "), evio.None
	}}, anyPort)
	for range 50 {
		c := r.dial(0)
		send(t, c, "x")
		closeWrite(t, c)
		expectEnd(t, c, "now later")
	}
}

// From a client that does not read its answers no more is read; when it reads, all comes.
func TestWhoDoesNotReadIsNotRead(t *testing.T) {
	const most = 64 << 20
	r := start(t, evio.Events{Data: echo}, anyPort)
	c := r.dial(0)
	chunk := make([]byte, 64<<10)
	sent := 0
	for sent < most {
		// It is full when nothing is taken for a while. That it is taken to be full too early
		// makes the test easier, not wrong.
		must(t, c.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		n, err := c.Write(chunk)
		sent += n
		if err != nil {
			break
		}
	}
	if sent >= most {
		t.Fatal("it takes everything")
	}
	buffered := make(chan int, 1)
	must(t, r.loop.Post(func() { buffered <- r.loop.Stats().Buffered }))
	if n := receive(t, buffered); n > evioserver.HighWater+256<<10 {
		t.Errorf("%d bytes wait in the process", n)
	}
	closeWrite(t, c)
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != int64(sent) {
		t.Errorf("%d bytes came back of %d, error %v", n, sent, err)
	}
}

// An answer is followed by another, and none is lost or replaced, while the client reads slowly.
func TestWakesDoNotReplaceWhatWaits(t *testing.T) {
	const lines = 1000 // more than the kernel takes before the client reads
	line := func(i int) []byte { return fmt.Appendf(nil, "%010000d\n", i) }
	next, closed := 0, make(chan error, 1)
	r := start(t, evio.Events{
		Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
			if next == lines {
				return nil, evio.Close
			}
			c.Wake()
			next++
			return line(next), evio.None
		},
		Closed: func(_ evio.Conn, err error) evio.Action { closed <- err; return evio.None },
	}, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	for i := range lines {
		expect(t, c, string(line(i+1)))
	}
	expectEnd(t, c, "")
	c.Close()
	must(t, receive(t, closed))
}

// The rest of an answer is given up when the client has reset the connection, whatever state that is in.
func TestResetWhileAnAnswerWaits(t *testing.T) {
	for action, name := range map[evio.Action]string{evio.None: "none", evio.Close: "close", evio.Detach: "detach"} {
		t.Run(name, func(t *testing.T) {
			events := evio.Events{
				Data:     func(evio.Conn, []byte) ([]byte, evio.Action) { return make([]byte, 16<<20), action },
				Detached: func(_ evio.Conn, rwc io.ReadWriteCloser) evio.Action { t.Error("detached"); return evio.None },
			}
			closed := tellClosed(&events)
			r := start(t, events, anyPort)
			c := r.dial(0)
			send(t, c, "x")
			expect(t, c, "\x00")
			must(t, c.(*net.TCPConn).SetLinger(0))
			must(t, c.Close())
			if e := receive(t, closed); e.err == nil {
				t.Error("closed without an error")
			}
		})
	}
}

// Shutdown writes what waits for a client that reads.
func TestShutdownWritesWhatWaits(t *testing.T) {
	const size = 8 << 20
	r := start(t, evio.Events{
		Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
			if string(in) == "stop" {
				return nil, evio.Shutdown
			}
			return make([]byte, size), evio.None
		},
	}, anyPort)
	slow, asker := r.dial(0), r.dial(0)
	send(t, slow, "x")
	expect(t, slow, "\x00")
	send(t, asker, "stop")
	got, err := io.ReadAll(slow)
	if err != nil || len(got) != size-1 {
		t.Errorf("read %d bytes and error %v", len(got), err)
	}
	slow.Close()
	asker.Close()
	must(t, receive(t, r.ended))
}

func TestCloseOfTheServerEndsAShutdown(t *testing.T) {
	events := evio.Events{Data: func(evio.Conn, []byte) ([]byte, evio.Action) { return make([]byte, 16<<20), evio.Shutdown }}
	closed := tellClosed(&events)
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "\x00")
	must(t, r.loop.Post(r.server.Close))
	receive(t, closed)
	must(t, receive(t, r.ended))
}

func TestLoopsEndClosesConnections(t *testing.T) {
	events := evio.Events{Data: echo}
	closed := tellClosed(&events)
	r := start(t, events, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "x")
	r.loop.Stop()
	if e := receive(t, closed); e.err != reactor.ErrClosed {
		t.Errorf("closed with %v", e.err)
	}
	if err := receive(t, r.ended); err != reactor.ErrClosed {
		t.Errorf("the server ended with %v", err)
	}
}
