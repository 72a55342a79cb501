//go:build linux || darwin || (freebsd && !386 && !arm)

package evioserver_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/evio"
)

// Whatever is said before a Wake is seen by a call of Data that follows.
func TestWakeFromManyGoroutines(t *testing.T) {
	const goroutines, wakes = 8, 500
	var said atomic.Int64
	var calls int
	conns, all := make(chan evio.Conn, 1), make(chan int, 1)
	r := start(t, evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			conns <- c
			return nil, evio.Options{}, evio.None
		},
		Data: func(_ evio.Conn, in []byte) ([]byte, evio.Action) {
			if in != nil {
				t.Errorf("input %q", in)
			}
			calls++
			if said.Load() == goroutines*wakes {
				select {
				case all <- calls:
				default: // a Wake between the last word and this call has brought another
				}
			}
			return nil, evio.None
		},
	}, anyPort)
	r.dial(0)
	c := receive(t, conns)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range wakes {
				said.Add(1)
				c.Wake()
			}
		})
	}
	wg.Wait()
	if n := receive(t, all); n > goroutines*wakes {
		t.Errorf("%d calls for %d wakes", n, goroutines*wakes)
	}
}

func TestWakesBeforeTheCallAreOne(t *testing.T) {
	var calls []int // lengths of input
	r := start(t, evio.Events{Data: func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		calls = append(calls, len(in))
		switch {
		case string(in) == "x":
			c.Wake()
			c.Wake()
			return nil, evio.None
		case in == nil:
			return []byte("woken"), evio.None
		}
		return append([]byte("after "), byte('0'+len(calls))), evio.None
	}}, anyPort)
	c := r.dial(0)
	send(t, c, "x")
	expect(t, c, "woken")
	send(t, c, "yy")
	expect(t, c, "after 3")
}

// Wakes race with the end of the connection and of the loop.
func TestWakeOfWhatHasEnded(t *testing.T) {
	conns := make(chan evio.Conn, 1)
	events := evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			conns <- c
			return nil, evio.Options{}, evio.None
		},
		Data: echo,
	}
	closed := tellClosed(&events)
	r := start(t, events, anyPort)
	client := r.dial(0)
	c := receive(t, conns)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				c.Wake()
			}
		})
	}
	client.Close()
	receive(t, closed)
	r.loop.Stop()
	wg.Wait()
	c.Wake()
	receive(t, r.ended)
	c.Wake()
}
