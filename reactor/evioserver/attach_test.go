//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

// Serving is the first event, also before datagrams and connections that have come already.
func TestServingComesFirst(t *testing.T) {
	leaktest.Check(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	defer loop.Close()
	var events []string
	note := func(event string) { events = append(events, event) }
	server, err := evioserver.Attach(loop, evio.Events{
		Serving: func(s evio.Server) evio.Action { note("serving"); return evio.None },
		Tick:    func() (time.Duration, evio.Action) { note("tick"); return time.Hour, evio.None },
		Data:    func(evio.Conn, []byte) ([]byte, evio.Action) { note("data"); return nil, evio.None },
		Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
			note("opened")
			return nil, evio.Options{}, evio.None
		},
	}, anyPort, "udp://127.0.0.1:0")
	must(t, err)
	for _, addr := range server.Addrs() {
		send(t, dial(t, addr), "x")
	}
	if len(events) > 0 {
		t.Errorf("%q inside Attach", events)
	}
	must(t, loop.RunUntil(context.Background(), func() bool { return len(events) == 5 }))
	if events[0] != "serving" || events[1] != "tick" {
		t.Errorf("%q", events)
	}
}

func TestServerKeepsRunFromReturning(t *testing.T) {
	leaktest.Check(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	defer loop.Close()
	var events []string
	server, err := evioserver.Attach(loop, evio.Events{})
	must(t, err)
	server.OnClose(func(err error) {
		must(t, err)
		events = append(events, "closed")
	})
	loop.AfterFunc(time.Millisecond, func() {
		server.Close()
		server.Close()
		events = append(events, "after Close")
	})
	must(t, loop.Run(context.Background()))
	server.OnClose(func(error) { events = append(events, "told late") })
	must(t, loop.Run(context.Background()))
	if !slices.Equal(events, []string{"after Close", "closed", "told late"}) {
		t.Errorf("%q", events)
	}
}

// Handlers of two servers share a loop with what else is on it.
func TestServersShareALoop(t *testing.T) {
	ticks := make(chan bool, 1)
	r := start(t, evio.Events{Data: echo}, anyPort)
	other := make(chan *evioserver.Server, 1)
	must(t, r.loop.Post(func() {
		r.loop.AfterFunc(0, func() { ticks <- true })
		s, err := evioserver.Attach(r.loop, evio.Events{Data: echo}, anyPort)
		if err != nil {
			t.Error(err)
		}
		other <- s
	}))
	s := receive(t, other)
	for _, addr := range []net.Addr{r.addrs[0], s.Addrs()[0]} {
		c := dial(t, addr)
		send(t, c, "x")
		expect(t, c, "x")
	}
	receive(t, ticks)
	must(t, r.loop.Post(s.Shutdown))
}

func TestAttachToALoopThatHasEnded(t *testing.T) {
	leaktest.Check(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	must(t, loop.Close())
	for _, addrs := range [][]string{nil, {anyPort}, {"udp://127.0.0.1:0"}} {
		if _, err := evioserver.Attach(loop, evio.Events{}, addrs...); !errors.Is(err, reactor.ErrClosed) {
			t.Errorf("%q: %v", addrs, err)
		}
	}
}

// A loop that is closed before it has run calls no handler, but tells OnClose.
func TestLoopThatNeverRuns(t *testing.T) {
	leaktest.Check(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	server, err := evioserver.Attach(loop, evio.Events{
		Serving: func(evio.Server) evio.Action { t.Error("serving"); return evio.None },
	}, anyPort)
	must(t, err)
	var ended []error
	server.OnClose(func(err error) { ended = append(ended, err) })
	must(t, loop.Close())
	if !slices.Equal(ended, []error{reactor.ErrClosed}) {
		t.Errorf("%v", ended)
	}
}

func TestTickIsCalledAfterTheDelayThatItReturns(t *testing.T) {
	delays := []time.Duration{0, -time.Second, time.Millisecond, 3 * time.Millisecond}
	var at []time.Time
	done := make(chan bool)
	start(t, evio.Events{Tick: func() (time.Duration, evio.Action) {
		at = append(at, time.Now())
		if len(at) > len(delays) {
			close(done)
			return time.Hour, evio.Close // which means nothing here
		}
		return delays[len(at)-1], evio.None
	}})
	receive(t, done)
	for i, delay := range delays {
		if passed := at[i+1].Sub(at[i]); passed < delay {
			t.Errorf("tick %d came after %v, not %v", i+1, passed, delay)
		}
	}
}
