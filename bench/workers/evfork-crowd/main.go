// Command evfork-crowd measures calls to one worker while others, on the same loop,
// have nothing to do:
//
//	evfork-crowd IDLE CALLS INFLIGHT SIZE
//
// It prints the microseconds per call, one at a time and with that many in flight.
// It is a program of its own because parent and workers are one binary: five hundred
// processes of the harness would be another measurement.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"echo": echo})
	if err := parent(); err != nil {
		fmt.Fprintln(os.Stderr, "evfork-crowd:", err)
		os.Exit(1)
	}
}

func echo(w *child.Worker) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	return rpc.ServeAsync(w, loop, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) })
}

func parent() error {
	var numbers [4]int
	if len(os.Args) != 1+len(numbers) {
		return errors.New("usage: evfork-crowd IDLE CALLS INFLIGHT SIZE")
	}
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(os.Args[1+i]); err != nil {
			return err
		}
	}
	idle, calls, inFlight, size := numbers[0], numbers[1], numbers[2], numbers[3]
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	c := &crowd{loop: loop, payload: bytes.Repeat([]byte{'a'}, size)}
	if err := c.start(idle + 1); err != nil {
		return err
	}
	busy := c.clients[idle/2] // neither the first nor the last of the loop's children
	oneAtATime, err := c.measure(busy, calls, 1)
	if err != nil {
		return err
	}
	inBulk, err := c.measure(busy, calls*bulkFactor, inFlight)
	if err != nil {
		return err
	}
	fmt.Printf("%g %g\n", oneAtATime, inBulk)
	return c.end()
}

// bulkFactor makes both measurements last about as long.
const bulkFactor = 50

// crowd is a loop with its workers.
type crowd struct {
	loop    *reactor.Loop
	clients []*rpc.Client
	payload []byte
	lost    error
}

// startsAtOnce is how many workers are being started at a time.
const startsAtOnce = 8

// start starts workers and makes one call to each, so that none is still about to
// do something. The bytes of these replies are compared, and the length of all others.
func (c *crowd) start(workers int) error {
	answered := 0
	for n := range workers {
		if err := c.add(func() { answered++ }); err != nil {
			return err
		}
		if err := c.runUntil(func() bool { return n+1-answered < startsAtOnce }); err != nil {
			return err
		}
	}
	return c.runUntil(func() bool { return answered == workers })
}

func (c *crowd) add(answered func()) error {
	proc, err := child.Start(c.loop, child.Config{Worker: "echo", StartTimeout: -1})
	if err != nil {
		return err
	}
	client, err := rpc.NewClient(proc, rpc.Config{OnError: c.fail})
	if err != nil {
		return err
	}
	c.clients = append(c.clients, client)
	return client.GoBytes(func(reply rpc.Payload, err error) {
		if err == nil && !bytes.Equal(reply, c.payload) {
			err = errors.New("a reply differs from its call")
		}
		if err != nil {
			c.fail(err)
		}
		answered()
	}, c.payload)
}

func (c *crowd) fail(err error) { c.lost = errors.Join(c.lost, err) }

func (c *crowd) runUntil(done func() bool) error {
	err := c.loop.RunUntil(context.Background(), func() bool { return done() || c.lost != nil })
	return errors.Join(err, c.lost)
}

// measure returns the microseconds per call, after a tenth of the calls to warm up.
func (c *crowd) measure(client *rpc.Client, calls, inFlight int) (float64, error) {
	p := &pump{crowd: c, client: client}
	if err := p.run(calls/10+1, inFlight); err != nil {
		return 0, err
	}
	begin := time.Now()
	err := p.run(calls, inFlight)
	return time.Since(begin).Seconds() * 1e6 / float64(calls), err
}

func (c *crowd) end() error {
	for _, client := range c.clients {
		client.Shutdown()
	}
	err := c.loop.Run(context.Background())
	return errors.Join(err, c.lost, c.loop.Close())
}

// pump keeps calls in flight: each reply makes the next call.
type pump struct {
	crowd         *crowd
	client        *rpc.Client
	toMake, toEnd int
}

func (p *pump) run(calls, inFlight int) error {
	p.toMake, p.toEnd = calls, calls
	for range min(inFlight, calls) {
		p.call()
	}
	return p.crowd.runUntil(func() bool { return p.toEnd == 0 })
}

// Complete implements rpc.Completion.
func (p *pump) Complete(reply rpc.Payload, err error) {
	if err == nil && len(reply) != len(p.crowd.payload) {
		err = fmt.Errorf("a reply of %d bytes", len(reply))
	}
	if err != nil {
		p.crowd.fail(err)
	}
	p.toEnd--
	if p.toMake > 0 && err == nil {
		p.call()
	}
}

func (p *pump) call() {
	p.toMake--
	if err := p.client.GoBytesTo(p, p.crowd.payload); err != nil {
		p.crowd.fail(err)
	}
}
