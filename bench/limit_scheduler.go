package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// R2's limit, as C is R1's: what Go takes to hand a call of each of a thousand goroutines to another one, and its end back. There is
// no child, no pipe, no id and no error; the bytes of a call are copied to a buffer, and those of its reply to its goroutine.

func addScheduler(r *Registry) {
	r.Enter("R2", Contestant{Name: "Go alone, channels in rows", Calls: 1_000_000, GoParent: true, Run: handedOver(false)})
	r.Enter("R2", Contestant{Name: "Go alone, yields", Calls: 1_000_000, GoParent: true, Run: handedOver(true)})
}

// A desk is where goroutines leave their calls. One goroutine serves it.
type desk struct {
	yields  bool // until a call has ended, instead of a channel
	mutex   sync.Mutex
	left    []*handedCall
	bell    chan struct{} // rung by who leaves the first; closed: nobody comes any more
	calls   []*handedCall // taken, whose array is left's next
	request []byte        // those of all that were taken
}

// A handedCall is of one goroutine, for one call after the other.
type handedCall struct {
	request, reply []byte
	ended          atomic.Bool   // if desk.yields
	told           chan struct{} // else
	next           *handedCall   // in the row: told by this one
}

func handedOver(yields bool) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		d := &desk{yields: yields, bell: make(chan struct{}, 1)}
		served := make(chan struct{})
		go func() { defer close(served); d.serve() }()
		echo := &echoCheck{request: payload(s.Size)}
		m, err := measure(s.Calls, func(calls int) error {
			return inGoroutines(s.InFlight, calls, func() func() error {
				c := &handedCall{told: make(chan struct{}, 1), reply: make([]byte, 0, s.Size)}
				return func() error { return echo.check(d.call(c, echo.request)) }
			})
		})
		close(d.bell)
		<-served
		return m.throughput(), err
	}
}

// call returns the reply, which is valid until the next call.
func (d *desk) call(c *handedCall, request []byte) []byte {
	c.request = request
	c.ended.Store(false)
	d.mutex.Lock()
	d.left = append(d.left, c)
	first := len(d.left) == 1
	d.mutex.Unlock()
	if first {
		d.ring()
	}
	if d.yields {
		for !c.ended.Load() {
			runtime.Gosched()
		}
		return c.reply
	}
	<-c.told
	if c.next != nil {
		c.next.told <- struct{}{}
		c.next = nil
	}
	return c.reply
}

func (d *desk) ring() {
	select {
	case d.bell <- struct{}{}:
	default: // it rings
	}
}

// serve answers what is left on the desk, until the bell is closed.
func (d *desk) serve() {
	for {
		d.mutex.Lock()
		d.calls, d.left = d.left, d.calls[:0]
		d.mutex.Unlock()
		if len(d.calls) > 0 {
			d.answer()
			runtime.Gosched()
			continue
		}
		if _, open := <-d.bell; !open {
			return
		}
	}
}

func (d *desk) answer() {
	d.request = d.request[:0]
	for _, c := range d.calls {
		d.request = append(d.request, c.request...)
	}
	rest := d.request
	var last *handedCall
	for _, c := range d.calls {
		n := len(c.request)
		c.reply, rest = append(c.reply[:0], rest[:n]...), rest[n:]
		switch {
		case d.yields:
			c.ended.Store(true)
		case last != nil:
			last.next = c
		}
		last = c
	}
	if !d.yields {
		d.calls[0].told <- struct{}{}
	}
}
