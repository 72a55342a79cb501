package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// callQueue brings the calls of other goroutines to the loop: any number of
// them are one post, and one wake-up. It is also where they, and the functions
// of WaitReady, wait for room, first come, first served.
type callQueue struct {
	client *Client
	take   func()    // takeSubmitted as a func, made once
	pool   sync.Pool // of *waiter

	mu        sync.Mutex
	submitted waiterList
	given     []*waiter // abandoned by their goroutines, which the loop must learn
	posted    bool      // takeSubmitted is on its way
	refused   error     // no more calls

	waiting waiterList // the loop's own
	givenUp []*waiter  // the other half of given's double buffer
	serving bool
}

// waiter is a call by a goroutine, or a function that waits for room. Waiters
// are pooled; one is recycled when the goroutine and the loop have both let go. An
// abandoned one comes to the loop twice: as a call, and as the news that it
// was given up; whichever is later recycles it.
type waiter struct {
	next    *waiter
	client  *Client
	ready   chan struct{} // of capacity 1
	request []byte
	state   atomic.Int32
	patient bool   // the goroutine cannot abandon the call: its ctx has no end
	id      uint32 // of the call, once it has been made; the loop's own
	let     bool   // the call, or the news, has been dealt with; the loop's own
	err     error
	reply   Payload
	fn      func()

	deadline time.Time
	small    [smallRequest]byte // what request begins with: one cache line with the rest
}

// smallRequest is how long a request may be to lie in the waiter itself.
const smallRequest = 64

// The states of a waiter: it leaves waiting once, by the loop or by its goroutine.
const (
	waiting   int32 = iota
	completed       // by the loop: the goroutine recycles it
	givenUp         // by the goroutine: the loop recycles it
)

// waiterList is a queue of waiters.
type waiterList struct{ head, tail *waiter }

func (l *waiterList) add(w *waiter) {
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
}

func (l *waiterList) shift() *waiter {
	w := l.head
	l.head = w.next
	if l.head == nil {
		l.tail = nil
	}
	w.next = nil
	return w
}

func (l *waiterList) unshift(w *waiter) {
	w.next = l.head
	l.head = w
	if l.tail == nil {
		l.tail = w
	}
}

func (l *waiterList) empty() bool { return l.head == nil }

func (q *callQueue) init(c *Client) {
	q.client = c
	q.take = q.takeSubmitted
	q.pool.New = func() any {
		w := &waiter{client: c, ready: make(chan struct{}, 1)}
		w.request = w.small[:0]
		return w
	}
}

// waiter returns a pooled waiter.
func (q *callQueue) waiter() *waiter { return q.pool.Get().(*waiter) }

// requestKept is how large a request buffer may be to be pooled.
const requestKept = 64 << 10

func (q *callQueue) recycle(w *waiter) {
	w.reply, w.err = nil, nil
	w.id, w.let = 0, false
	if cap(w.request) > requestKept {
		w.request = w.small[:0]
	}
	q.pool.Put(w)
}

// Call calls the child's function with a STRING list of arguments and waits for
// the reply, which is the caller's own. While the client is full it waits for
// room. When ctx ends it returns ErrDeadline or ErrCanceled, with ctx's cause if
// that has one, and the call is abandoned: it counts as in flight until the child has answered
// it. On the Evfork wire the child is told, as with Cancel, and ctx's deadline
// travels with the call. Goroutine-safe; on the loop's own goroutine it would
// wait for itself.
func (c *Client) Call(ctx context.Context, args ...string) (Payload, error) {
	w := c.queue.waiter()
	w.request = AppendStrings(w.request[:0], args...)
	return c.call(ctx, w)
}

// CallBytes is Call with a payload that has been encoded already. Goroutine-safe.
func (c *Client) CallBytes(ctx context.Context, payload []byte) (Payload, error) {
	w := c.queue.waiter()
	w.request = append(w.request[:0], payload...)
	return c.call(ctx, w)
}

func (c *Client) call(ctx context.Context, w *waiter) (Payload, error) {
	if w.patient = ctx.Done() == nil; !w.patient {
		w.state.Store(waiting)
		if ctx.Err() != nil {
			c.queue.recycle(w)
			return nil, endOf(ctx)
		}
		w.deadline = deadlineOf(ctx)
	}
	if err := c.queue.submit(w); err != nil {
		c.queue.recycle(w)
		return nil, err
	}
	if w.patient {
		<-w.ready
	} else if !w.wait(ctx) {
		c.queue.giveUp(w)
		return nil, endOf(ctx)
	}
	reply, err := w.reply, w.err
	c.queue.recycle(w)
	return reply, err
}

// wait reports whether the call ended before ctx did. It is not inlined: the
// select's frame would lie on the stack of every waiting goroutine, and there
// may be thousands of them, none of whose stacks is in the cache.
//
//go:noinline
func (w *waiter) wait(ctx context.Context) bool {
	select {
	case <-w.ready:
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiting, givenUp) {
			return false
		}
		<-w.ready
	}
	return true
}

// Complete implements Completion.
func (w *waiter) Complete(reply Payload, err error) {
	if w.isGivenUp() {
		w.client.queue.letGo(w)
		return
	}
	w.err = err
	if err == nil {
		w.reply = append(make(Payload, 0, len(reply)), reply...)
	}
	if !w.patient && !w.state.CompareAndSwap(waiting, completed) {
		w.client.queue.letGo(w)
		return
	}
	w.client.loop.Yielding()
	w.ready <- struct{}{}
}

func (w *waiter) isGivenUp() bool { return !w.patient && w.state.Load() == givenUp }

// letGo recycles a waiter that was given up when it comes for the second time.
func (q *callQueue) letGo(w *waiter) {
	if w.let {
		q.recycle(w)
		return
	}
	w.let = true
}

// giveUp tells the loop that a goroutine waits no more. If the loop has ended, the
// waiter is left to the garbage collector.
func (q *callQueue) giveUp(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.posted && q.client.loop.Post(q.take) != nil {
		return
	}
	q.posted = true
	q.given = append(q.given, w)
}

// takeGivenUp abandons the calls whose goroutines have gone, but those that
// still wait for room, which are not made when their turn comes.
func (q *callQueue) takeGivenUp(list []*waiter) {
	for i, w := range list {
		list[i] = nil
		if w.id != 0 && !w.let {
			q.client.abandonCall(w.id)
			w.let = true
		}
		q.letGo(w)
	}
	q.givenUp = list[:0]
}

// WaitReady has fn called once, on the loop, as soon as there is room for a
// call, after those who have been waiting longer. If the client ends first, fn
// is called too, and finds that Go returns an error.
func (c *Client) WaitReady(fn func()) error {
	if c.unable != nil {
		return c.unable
	}
	return c.queue.waitReady(fn)
}

// waitReady is WaitReady also between a write error and the end of the client.
func (q *callQueue) waitReady(fn func()) error {
	w := q.waiter()
	w.fn = fn
	if err := q.submit(w); err != nil {
		w.fn = nil
		q.recycle(w)
		return err
	}
	return nil
}

// submit hands a waiter to the loop.
func (q *callQueue) submit(w *waiter) error {
	q.mu.Lock()
	err := q.refused
	if err == nil && !q.posted {
		err = q.client.loop.Post(q.take)
	}
	if err == nil {
		q.posted = true
		q.submitted.add(w)
	}
	q.mu.Unlock()
	return err
}

func (q *callQueue) takeSubmitted() {
	q.mu.Lock()
	q.posted = false
	list := q.submitted
	q.submitted = waiterList{}
	given := q.given
	q.given = q.givenUp
	q.mu.Unlock()
	q.takeGivenUp(given)
	if q.waiting.empty() {
		q.waiting = list
	} else if !list.empty() {
		q.waiting.tail.next = list.head
		q.waiting.tail = list.tail
	}
	q.serve()
}

// serve makes the calls that wait, while there is room.
func (q *callQueue) serve() {
	if q.serving {
		return // a function of WaitReady has led back here
	}
	q.serving = true
	c := q.client
	defer func() {
		q.serving = false
		if c.endErr != nil && !q.waiting.empty() {
			q.serve() // a callback has panicked: the others must be told all the same
		}
	}()
	for !q.waiting.empty() && c.room() {
		w := q.waiting.shift()
		switch {
		case w.fn != nil:
			fn := w.fn
			w.fn = nil
			q.recycle(w)
			fn()
		case w.isGivenUp():
			q.letGo(w)
		default:
			err := c.makeCall(w)
			if err == ErrFull {
				q.waiting.unshift(w) // the bytes do not fit yet
				return
			}
			if err != nil {
				w.Complete(nil, err)
			}
		}
	}
}

// makeCall makes a goroutine's call. Its deadline is the goroutine's business, but
// travels.
func (c *Client) makeCall(w *waiter) error {
	if w.patient || w.deadline.IsZero() {
		err := c.refusal()
		if err == nil {
			w.id, err = c.sendWith(w, CallOptions{}, 0, w.request)
		}
		return err
	}
	err := c.refusal()
	if err == nil {
		w.id, err = c.sendWith(w, CallOptions{Deadline: w.deadline}, c.timebase.at(w.deadline), w.request)
	}
	return err
}

// room reports whether a waiting call should be made now. After the end there
// is room: everybody gets the error.
func (c *Client) room() bool {
	return c.endErr != nil || c.closing ||
		c.unable == nil && c.calls.count < c.config.MaxInFlight && !c.holdsBack() && !c.stream.Congested()
}

// refuse ends what waits with err, and everything that comes later.
func (q *callQueue) refuse(err error) {
	q.mu.Lock()
	q.refused = err
	q.mu.Unlock()
	q.takeSubmitted()
}

// ShutdownWait shuts the client down and waits until the child is gone and every
// call has ended, which may have happened before. It returns nil after an orderly
// end, and else what OnError is told. Goroutine-safe; the loop must be running.
func (c *Client) ShutdownWait(ctx context.Context) error {
	err := c.loop.Post(c.Shutdown)
	if err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	select {
	case <-c.ended:
		return c.result
	case <-ctx.Done():
		return ctx.Err()
	case <-c.loop.Done():
	}
	select {
	case <-c.ended: // that came first
		return c.result
	default:
		return ErrClosed
	}
}
