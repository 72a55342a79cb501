//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tidwall/evio"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/evioserver"
)

var errOops = errors.New("oops")

// A panic leaves Serve, after each connection's Closed.
func TestPanicLeavesServe(t *testing.T) {
	leaktest.Check(t)
	serving, panicked, closed := make(chan evio.Server, 1), make(chan any, 1), 0
	go func() {
		defer func() { panicked <- recover() }()
		_ = evioserver.Serve(evio.Events{
			Serving: func(s evio.Server) evio.Action { serving <- s; return evio.None },
			Data:    func(evio.Conn, []byte) ([]byte, evio.Action) { panic(errOops) },
			Closed:  func(evio.Conn, error) evio.Action { closed++; return evio.None },
		}, anyPort)
	}()
	addr := receive(t, serving).Addrs[0]
	c, idle := dial(t, addr), dial(t, addr)
	send(t, c, "x")
	if v := receive(t, panicked); v != errOops {
		t.Errorf("panicked with %v", v)
	}
	if _, err := io.ReadAll(idle); err != nil {
		t.Log(err) // it may not have been accepted, and is reset then
	}
	if closed == 0 || closed > 2 {
		t.Errorf("%d connections were closed", closed)
	}
}

// With an OnPanic the connection is closed, whichever handler it was, and the others go on.
func TestPanicClosesItsConnection(t *testing.T) {
	leaktest.Check(t)
	for _, where := range []string{"opened", "data", "wake", "pre-write"} {
		t.Run(where, func(t *testing.T) {
			panics := make(chan any, 1)
			config := reactor.Config{OnPanic: func(p *reactor.Panic) { panics <- p.Value }}
			oops := false
			events := evio.Events{
				Opened: func(evio.Conn) ([]byte, evio.Options, evio.Action) {
					if oops && where == "opened" {
						panic(errOops)
					}
					return []byte("hello"), evio.Options{}, evio.None
				},
				PreWrite: func() {
					if oops && where == "pre-write" {
						panic(errOops)
					}
				},
				Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
					switch {
					case string(in) == "oops":
						oops = true
					case where == "data" && oops, where == "wake" && in == nil:
						panic(errOops)
					case where == "wake" && oops:
						c.Wake()
						return nil, evio.None
					}
					return []byte("fine"), evio.None
				},
			}
			closed := tellClosed(&events)
			r := startWith(t, config, events, anyPort)
			one := r.dial(0)
			expect(t, one, "hello")
			two := one
			if where != "opened" {
				two = r.dial(0)
				expect(t, two, "hello")
			}
			if where == "pre-write" {
				must(t, r.loop.Do(t.Context(), func() { oops = true }))
			} else {
				send(t, one, "oops")
				expect(t, one, "fine")
			}
			if where == "opened" {
				two = r.dial(0)
			} else {
				send(t, two, "x")
			}
			expectEnd(t, two, "")
			if v := receive(t, panics); v != errOops {
				t.Errorf("panicked with %v", v)
			}
			receive(t, closed)
			must(t, r.loop.Do(t.Context(), func() { oops, where = false, "" }))
			send(t, one, "y")
			expect(t, one, "fine")
		})
	}
}

func TestPanicOfServingEndsTheServer(t *testing.T) {
	leaktest.Check(t)
	panics := make(chan any, 1)
	r := startWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { panics <- p.Value }}, evio.Events{
		Serving: func(evio.Server) evio.Action { panic(errOops) },
		Tick:    func() (time.Duration, evio.Action) { t.Error("ticks"); return 0, evio.None },
	}, anyPort)
	receive(t, panics)
	must(t, receive(t, r.ended))
}
