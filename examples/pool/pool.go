package main

import (
	"errors"
	"log"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

const (
	workers  = 3
	perChild = 1                      // calls in flight to each: no call waits behind a slow one. With 2, no worker waits for its next
	abandon  = 200 * time.Millisecond // for a worker to answer after a deadline has passed
)

// pool belongs to the loop's goroutine.
type pool struct {
	loop    *reactor.Loop
	slots   []*slot
	queue   []job
	closing bool
}

type job struct {
	text     string
	patience time.Duration
	done     func(string, error)
}

// slot is a place for one worker after the other.
type slot struct {
	pool    *pool
	client  *rpc.Client // nil while there is none
	waiting bool        // for room
	backoff time.Duration
}

func newPool(loop *reactor.Loop) *pool {
	p := &pool{loop: loop}
	for range workers {
		s := &slot{pool: p}
		p.slots = append(p.slots, s)
		s.start()
	}
	return p
}

// call queues a job, whose done is called once.
func (p *pool) call(j job) {
	p.queue = append(p.queue, j)
	p.feed()
}

// shutdown lets the workers finish what they have. It is called when all jobs have ended.
func (p *pool) shutdown() {
	p.closing = true
	for _, s := range p.slots {
		if s.client != nil {
			s.client.Shutdown()
		}
	}
}

// feed makes calls while a worker has room.
func (p *pool) feed() {
	for len(p.queue) > 0 {
		s := p.idlest()
		if s == nil {
			return
		}
		next := p.queue[0]
		deadline := rpc.CallOptions{Deadline: time.Now().Add(next.patience)}
		_, err := work.GoWith(s.client, next.text, deadline, func(reply string, err error) { s.ended(next, reply, err) })
		switch _, lost := errors.AsType[*rpc.LostError](err); {
		case errors.Is(err, rpc.ErrFull): // until a call that was given up is answered, too
			s.wait()
		case lost: // OnError or OnDestroy follows
			s.client = nil
		default:
			p.queue = p.queue[1:]
			if err != nil {
				p.loop.Post(func() { next.done("", err) })
			}
		}
	}
}

// idlest is the worker with the fewest calls in flight of those that have room, or nil.
func (p *pool) idlest() (best *slot) {
	for _, s := range p.slots {
		if s.client != nil && !s.waiting && (best == nil || s.client.InFlight() < best.client.InFlight()) {
			best = s
		}
	}
	return best
}

// ended gets the end of a call.
func (s *slot) ended(j job, reply string, err error) {
	lost, isLost := errors.AsType[*rpc.LostError](err)
	if isLost {
		s.client = nil // no longer the idlest, before OnError tells
	}
	if err == nil {
		s.backoff = 0
	}
	if isLost && !lost.Started {
		s.pool.queue = append(s.pool.queue, j)
	} else {
		j.done(reply, err)
	}
	s.pool.feed()
}

func (s *slot) wait() {
	s.waiting = s.client.WaitReady(func() {
		s.waiting = false
		s.pool.feed()
	}) == nil
}

// start puts a worker into the slot.
func (s *slot) start() {
	if s.pool.closing {
		return
	}
	proc, err := child.Start(s.pool.loop, child.Config{Worker: "worker"})
	if err == nil {
		config := rpc.Config{MaxInFlight: perChild, AbandonTimeout: abandon, OnError: func(error) { s.restart() }, OnDestroy: s.restart}
		if s.client, err = rpc.NewClient(proc, config); err != nil {
			proc.Kill() // nobody else knows of it
		}
	}
	if err != nil {
		log.Print(err)
		s.restart()
		return
	}
	s.pool.feed()
}

// restart starts another worker, after twice the time of the last.
func (s *slot) restart() {
	s.client, s.waiting = nil, false
	if !s.pool.closing {
		s.pool.loop.AfterFunc(s.backoff, s.start)
		s.backoff = min(2*s.backoff+10*time.Millisecond, 5*time.Second)
	}
}
