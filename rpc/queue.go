package rpc

import (
	"sync"

	"github.com/evfork/evfork/internal/callback"
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
	givenUp   []*waiter // by their goroutines, which the loop must learn
	posted    bool      // takeSubmitted is on its way
	refused   error     // no more calls
	parksLate bool      // whoever submits a call now; see lateParking

	waiting waiterList // the loop's own
	spare   []*waiter  // the other half of givenUp's double buffer
	serving bool
	stale   int // how many of waiting are known to be given up
	keep    int // how many of these may stay: see sweep

	batches sync.Pool   // of *replyBatch
	batch   *replyBatch // what has come of the batch of frames that is being read; nil: nothing
	turns   turns
	row     wokenRow
	late    lateParking
}

func (q *callQueue) init(c *Client) {
	q.client = c
	q.take = q.takeSubmitted
	q.pool.New = func() any {
		w := &waiter{client: c}
		w.init()
		return w
	}
	q.late.init()
	q.batches.New = func() any { return new(replyBatch) }
}

// WaitReady has fn called once, on the loop, as soon as there is room for a
// call, after those who have been waiting longer. If the client ends first, fn
// is called too, and finds that Go returns an error.
//
// The ends of calls do not tell as much: a call that has ended by its deadline or by Cancel takes
// its room until the child has answered it.
func (c *Client) WaitReady(fn func()) error {
	if c.unable != nil {
		return c.unable
	}
	return c.queue.waitReady(fn, nil, false)
}

// waitReady is WaitReady also between a write error and the end of the client. If fn is a stream's, it
// need not be called when that has ended. If it is to make calls with deadlines, bounded, it waits for the hello as these do.
func (q *callQueue) waitReady(fn func(), stream *Stream, bounded bool) error {
	w := q.waiter()
	w.fn, w.stream, w.bounded = fn, stream, bounded
	if err := q.submit(w); err != nil {
		w.fn, w.stream = nil, nil
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
		w.late = q.parksLate && w.fn == nil && (w.typed == nil || w.typed.handed)
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
	givenUp := q.givenUp
	q.givenUp = q.spare
	q.mu.Unlock()
	q.takeGivenUp(givenUp)
	if q.waiting.empty() {
		q.waiting = list
	} else if !list.empty() {
		q.waiting.tail.next = list.head
		q.waiting.tail = list.tail
	}
	q.sweep()
	q.serve()
}

// serve takes from those that wait, in their order, while there is room: a function of WaitReady is
// called, a call that was given up is dropped, any other is made.
func (q *callQueue) serve() {
	if q.serving || q.waiting.empty() {
		return // or a function of WaitReady has led back here
	}
	q.serving = true
	defer func() { q.serving = false }()
	callback.ToTheEnd(q.serveWaiting) // nothing else may happen that serves the others
}

func (q *callQueue) serveWaiting() {
	for c := q.client; !q.waiting.empty() && c.room(); {
		w := q.waiting.shift()
		switch {
		case w.fn != nil && w.bounded && c.awaitsHello():
			q.waiting.unshift(w)
			return
		case w.fn != nil:
			fn := w.fn
			w.fn, w.stream = nil, nil
			q.recycle(w)
			fn()
		case w.isGivenUp():
			if w.seen {
				q.stale--
			}
			q.letGo(w)
		default:
			if w.late {
				c.loop.Yielding() // it may have to park
			}
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

// room reports whether a waiting call should be made now. After the end, for which those wait whose stream has been closed,
// there is room: everybody gets the error.
func (c *Client) room() bool {
	return c.endErr != nil || c.closing ||
		c.unable == nil && c.calls.count < c.config.MaxInFlight && !c.holdsBack() && !c.streams.full && !c.stream.Congested() && !c.stream.Closed()
}

// refuse ends what waits with err, and everything that comes later.
func (q *callQueue) refuse(err error) {
	q.mu.Lock()
	q.refused = err
	q.mu.Unlock()
	q.takeSubmitted()
}
