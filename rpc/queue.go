package rpc

import "sync"

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

	batches sync.Pool   // of *replyBatch
	batch   *replyBatch // what has come of the batch of frames that is being read; nil: nothing
}

func (q *callQueue) init(c *Client) {
	q.client = c
	q.take = q.takeSubmitted
	q.pool.New = func() any {
		w := &waiter{client: c}
		w.init()
		return w
	}
	q.batches.New = func() any { return new(replyBatch) }
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
