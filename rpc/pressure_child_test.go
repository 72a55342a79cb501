package rpc_test

import (
	"context"
	"encoding/binary"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// pressed is the child of a pressure test. It answers each call with events and a reply.
type pressed struct {
	pressure
	*gauge
	server   *rpc.Server
	loop     *reactor.Loop // of the async server
	waiting  []*pressedCall
	oneStops atomic.Bool // of the handlers
	payload  []byte      // of events and replies that are copied before the next
}

// pressedCall is a call of the async server that waits for room.
type pressedCall struct {
	number uint64
	events int // that it still has to send
	done   rpc.Done
}

func pressedWorker(w *child.Worker) (err error) {
	c := &pressed{pressure: parsePressure(os.Args[1])}
	c.payload = make([]byte, max(c.EventSize, c.ReplySize))
	if c.gauge, err = openGauge(c.File); err != nil {
		return err
	}
	c.childPID.Store(int64(os.Getpid()))
	c.server, err = rpc.NewServer(w, rpc.ServerConfig{Wire: c.Wire, MaxBuffered: c.Limit, OnDrain: c.goOn})
	if err != nil {
		return err
	}
	_, writeFD := w.FDs()
	defer func() { c.childPeak.Store(peakMemory()) }()
	switch c.Server {
	case "sync":
		go c.tellWhenStuck(writeFD)
		return c.server.ServeSync(c.handle)
	case "goroutines":
		go c.tellWhenStuck(writeFD)
		return c.server.ServeGoroutines(c.handle, 8)
	}
	if c.loop, err = reactor.New(reactor.Config{}); err != nil {
		return err
	}
	defer closeLoop(c.loop)
	go c.tellWhenStuck(writeFD)
	return c.server.ServeAsync(c.loop, c.begin)
}

// tellWhenStuck answers the test's question whether the server has written, and queued, as
// much as it can. Nobody reports that; it is looked at again and again.
func (c *pressed) tellWhenStuck(writeFD int) {
	for ; ; time.Sleep(time.Millisecond) {
		if ask := c.asked.Load(); ask > c.stuck.Load() && !isWritable(writeFD) && c.isFull() {
			c.stuck.Store(ask)
		}
	}
}

func isWritable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err != nil || n > 0
}

// isFull reports whether the server takes no more events.
func (c *pressed) isFull() (full bool) {
	if c.loop == nil {
		// On AnyEventSync one handler writes, and the others wait for its turn to end.
		return rpc.IsFull(c.server, c.Server == "sync" || c.Wire == rpc.AnyEventSync)
	}
	err := c.loop.Do(context.Background(), func() { full = rpc.IsFull(c.server, false) })
	return err == nil && full
}

// handle answers for ServeSync and ServeGoroutines.
func (c *pressed) handle(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
	number, payload := c.take(request), c.payload
	if c.Server == "goroutines" {
		payload = make([]byte, len(payload)) // several handlers run at once
	}
	for range c.Events {
		if err := c.server.EventBytes(payloadOf(number, payload[:c.EventSize])); err != nil {
			return nil, err
		}
		c.wrote(c.EventSize)
	}
	c.wrote(c.ReplySize)
	return payloadOf(number, payload[:c.ReplySize]), nil
}

// begin answers for ServeAsync.
func (c *pressed) begin(request rpc.Payload, done rpc.Done) {
	c.waiting = append(c.waiting, &pressedCall{c.take(request), c.Events, done})
	c.goOn()
}

// goOn sends what waits, while there is room.
func (c *pressed) goOn() {
	for len(c.waiting) > 0 {
		call := c.waiting[0]
		for ; call.events > 0; call.events-- {
			switch err := c.server.EventBytes(payloadOf(call.number, c.payload[:c.EventSize])); err {
			case nil:
				c.wrote(c.EventSize)
			case rpc.ErrFull:
				return
			default:
				panic(err)
			}
		}
		if err := call.done.ReplyBytes(payloadOf(call.number, c.payload[:c.ReplySize])); err != nil {
			panic(err)
		}
		c.wrote(c.ReplySize)
		c.waiting = c.waiting[1:]
	}
}

// take notes that a request is being handled, and returns its number.
func (c *pressed) take(request rpc.Payload) uint64 {
	handled := c.handled.Add(int64(len(request)))
	if c.Stops == "child" && c.oneStops.CompareAndSwap(false, true) {
		if c.stopIsDue(handled, c.stops.Load()) {
			if err := c.stopSelf(); err != nil {
				panic(err)
			}
		}
		c.oneStops.Store(false)
	}
	return binary.BigEndian.Uint64(request)
}

// wrote notes that the server has taken so many bytes.
func (c *pressed) wrote(size int) {
	raise(&c.repliesMost, c.emitted.Add(int64(size))-c.received.Load())
	if c.loop != nil {
		raise(&c.childMost, int64(c.loop.Stats().Buffered))
	}
}

// payloadOf writes the number of a call to where a payload begins.
func payloadOf(number uint64, payload []byte) rpc.Payload {
	binary.BigEndian.PutUint64(payload, number)
	return payload
}
