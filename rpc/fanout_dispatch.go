package rpc

import (
	"errors"
	"fmt"
)

// What happens to jobs on the loop: they are given to the workers that have room,
// in turn, and each that ends makes room for the next.

// fanWorker is a client and how much room it has.
type fanWorker struct {
	client     *Client
	room       int        // calls that may be made
	next, prev *fanWorker // in the ring; nil outside
	ready      func()     // for WaitReady, made once
	waiting    bool       // for ready
	gone       bool
}

func (f *FanOut[Req, Resp]) addWorker(c *Client) {
	w := &fanWorker{client: c, room: f.config.Window}
	f.team = append(f.team, w)
	w.ready = func() {
		w.waiting = false
		f.enter(w)
		f.dispatch()
	}
	f.live++
	f.capacity += f.config.Window
	f.enter(w)
}

// enter puts a worker that can take jobs at the end of the ring.
func (f *FanOut[Req, Resp]) enter(w *fanWorker) {
	if w.next != nil || w.room == 0 || w.gone || w.waiting {
		return
	}
	if f.ring == nil {
		w.next, w.prev = w, w
		f.ring = w
		return
	}
	w.next, w.prev = f.ring, f.ring.prev
	w.prev.next, w.next.prev = w, w
}

func (f *FanOut[Req, Resp]) leaveRing(w *fanWorker) {
	if w.next == nil {
		return
	}
	if f.ring == w {
		f.ring = w.next
	}
	if w.next == w {
		f.ring = nil
	}
	w.prev.next, w.next.prev = w.next, w.prev
	w.next, w.prev = nil, nil
}

// takeJobs takes what the feeder has submitted.
func (f *FanOut[Req, Resp]) takeJobs() {
	f.mu.Lock()
	f.posted = false
	list := f.submitted
	f.submitted = jobList[Req, Resp]{}
	f.mu.Unlock()
	f.queue.append(list)
	f.dispatch()
}

// dispatch makes the calls for which there is room.
func (f *FanOut[Req, Resp]) dispatch() {
	if f.over.Load() {
		f.queue = jobList[Req, Resp]{}
		return
	}
	for f.queue.head != nil && f.ring != nil {
		w := f.ring
		if f.config.Timeout > 0 && w.client.awaitsHello() {
			f.await(w) // as makeCall does
			continue
		}
		j := f.queue.shift()
		// Before the call: it may be on its way from then on.
		j.worker = w
		call, err := w.client.GoWith(j, f.options(w), j.request)
		switch {
		case err == nil:
			j.call = call
			w.room--
			f.ring = w.next
			if w.room == 0 {
				f.leaveRing(w)
			}
		case err == ErrTooLarge:
			j.worker = nil
			f.report(j, nil, err)
		case err == ErrFull: // others use the client, too
			f.queue.unshift(j)
			f.await(w)
		default:
			f.queue.unshift(j)
			if w.client.isEnding() {
				f.await(w) // its end tells why
			} else {
				f.lose(w, err)
			}
		}
	}
	if f.live == 0 {
		for f.queue.head != nil {
			j := f.queue.shift()
			j.worker = nil
			f.stop(f.nobodyLeft())
			f.report(j, nil, f.noWorkers())
		}
	}
}

// options gives a call its deadline.
func (f *FanOut[Req, Resp]) options(w *fanWorker) CallOptions {
	if f.config.Timeout <= 0 {
		return CallOptions{}
	}
	return CallOptions{Deadline: w.client.now().Add(f.config.Timeout)}
}

// await gives a worker no more jobs until its client says that there is room, or has
// ended.
func (f *FanOut[Req, Resp]) await(w *fanWorker) {
	w.waiting = true
	f.leaveRing(w)
	if err := w.client.queue.waitReady(w.ready, nil, f.config.Timeout > 0); err != nil {
		f.lose(w, err)
	}
}

// lose gives a worker no more jobs at all.
func (f *FanOut[Req, Resp]) lose(w *fanWorker, err error) {
	if w.gone {
		return
	}
	w.gone = true
	f.leaveRing(w)
	f.live--
	f.gone = err
	f.mu.Lock()
	f.capacity -= f.config.Window
	if f.live == 0 && !f.fed {
		f.stopLocked(f.nobodyLeft())
	}
	f.mu.Unlock()
}

func (f *FanOut[Req, Resp]) noWorkers() error { return fmt.Errorf("%w: %w", ErrNoWorkers, f.gone) }

// nobodyLeft is Err without workers. If they have ended with their loop, it is that: as for hasNobody.
func (f *FanOut[Req, Resp]) nobodyLeft() error {
	if errors.Is(f.gone, ErrClosed) {
		return ErrClosed
	}
	return f.noWorkers()
}

// Complete implements Completion.
func (j *fanJob[Req, Resp]) Complete(reply Payload, err error) {
	f, w := j.fan, j.worker
	j.call = CallID{}
	if f.over.Load() {
		return
	}
	w.room++
	f.enter(w)
	var lost *LostError
	if errors.As(err, &lost) {
		f.lose(w, err)
	}
	if lost != nil && !lost.Started {
		f.queue.unshift(j)
	} else {
		f.report(j, reply, err)
	}
	f.dispatch()
}

// report is finish, on the loop. With RunLoop, Results looks after each iteration.
func (f *FanOut[Req, Resp]) report(j *fanJob[Req, Resp], reply Payload, err error) {
	f.finish(j, reply, err)
	if !f.config.RunLoop && signal(f.ready) {
		f.loop.Yielding()
	}
}

// jobList is a queue of jobs.
type jobList[Req, Resp any] struct{ head, tail *fanJob[Req, Resp] }

func (l *jobList[Req, Resp]) add(j *fanJob[Req, Resp]) { l.append(jobList[Req, Resp]{j, j}) }

func (l *jobList[Req, Resp]) append(m jobList[Req, Resp]) {
	switch {
	case m.head == nil:
	case l.head == nil:
		*l = m
	default:
		l.tail.next = m.head
		l.tail = m.tail
	}
}

func (l *jobList[Req, Resp]) unshift(j *fanJob[Req, Resp]) {
	j.next = l.head
	l.head = j
	if l.tail == nil {
		l.tail = j
	}
}

func (l *jobList[Req, Resp]) shift() *fanJob[Req, Resp] {
	j := l.head
	l.head, j.next = j.next, nil
	if l.head == nil {
		l.tail = nil
	}
	return j
}
