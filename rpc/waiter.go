package rpc

import (
	"sync/atomic"
	"time"
)

// waiter is a call by a goroutine, or a function that waits for room. Waiters are pooled; one is
// recycled when the goroutine and the loop have both let go. An abandoned one comes to the loop
// twice: as the call, when that is made or ends, and as the news that it was given up; whichever is
// later recycles it.
type waiter struct {
	// What every call touches lies together, in as few cache lines as possible.
	typed   *typedWaiter // of which it is a part; nil: a call with a payload
	next    *waiter      // in a waiterList; of one that has been woken: whom it has to wake
	patient bool         // the goroutine cannot abandon the call: its ctx has no end
	late    bool         // the goroutine parks late: see lateParking
	last    bool         // and brings the loop back
	lent    bool         // the request is the caller's, who is patient, or it has yet to be copied
	keeps   bool         // it is a Caller's: the memory of reply is used again
	seen    bool         // of the two comings of one that was given up there has been one; the loop's own
	state   atomic.Int32
	reply   Payload
	client  *Client
	ready   chan struct{} // of capacity 1
	err     error
	id      uint32 // of the call, once it has been made; the loop's own

	fn       func()
	request  []byte // what is sent: own, or what the caller has lent
	deadline time.Time
	own      []byte
	small    [smallRequest]byte // what own begins with
	stream   *Stream            // whose fn is; nil if it is another's
	bounded  bool               // fn makes calls with deadlines
}

// init gives a waiter what it keeps.
func (w *waiter) init() {
	w.ready = make(chan struct{}, 1)
	w.own = w.small[:0]
}

// lend has the call send what remains the caller's.
func (w *waiter) lend(payload []byte) { w.request, w.lent = payload, true }

// give has the call send what has been appended to own.
func (w *waiter) give(own []byte) { w.own, w.request, w.lent = own, own, false }

// keep copies what was lent: the caller may return before it has been sent.
func (w *waiter) keep() {
	if w.lent {
		w.give(append(w.own[:0], w.request...))
	}
}

// smallRequest is how long a request may be to lie in the waiter itself.
const smallRequest = 64

// The states of a waiter: it is completed or given up once, by the loop or by its goroutine. That of one whose goroutine is patient and
// does not park late stays as it is. One that parks late can be given up only while it is parked.
const (
	waiting   int32 = iota
	completed       // by the loop: the goroutine recycles it
	givenUp         // by the goroutine: the loop recycles it
	parked          // one that parks late, and waits on; by the goroutine
	ending          // one that parks late and is not patient: it cannot be given up any more, but has not been told; by the loop
	awaited         // one that is ending, and whose goroutine is parked; by either
)

// wait reports whether the call ended before its ctx did, whose done is. It is not inlined: the
// select's frame would lie on the stack of every waiting goroutine, and there
// may be thousands of them, none of whose stacks is in the cache.
//
//go:noinline
func (w *waiter) wait(done <-chan struct{}) bool {
	select {
	case <-w.ready:
	case <-done:
		if w.giveUp() {
			return false
		}
		<-w.ready
	}
	return true
}

// isStale reports whether nobody waits any more, and the loop knows it.
func (w *waiter) isStale() bool { return w.seen || w.stream != nil && w.stream.hasEnded() }

// giveUp reports whether the call had not ended.
func (w *waiter) giveUp() bool {
	if w.typed != nil {
		w.typed.encoding.Lock()
		defer w.typed.encoding.Unlock()
	}
	if w.late {
		return w.state.CompareAndSwap(parked, givenUp)
	}
	return w.state.CompareAndSwap(waiting, givenUp)
}

func (w *waiter) isGivenUp() bool { return !w.patient && w.state.Load() == givenUp }

// end has the loop end the call of a goroutine that is not patient. It reports whether that had not given it up.
func (w *waiter) end() bool {
	if w.late {
		return w.state.CompareAndSwap(waiting, ending) || w.state.CompareAndSwap(parked, awaited)
	}
	return w.state.CompareAndSwap(waiting, completed)
}

// Complete implements Completion.
func (w *waiter) Complete(reply Payload, err error) {
	if !w.patient && !w.end() {
		w.client.queue.letGo(w)
		return
	}
	w.err = err
	switch {
	case err != nil:
	case w.keeps:
		w.reply = append(w.reply[:0], reply...)
	default:
		w.reply = reply.clone()
	}
	if w.late {
		w.client.queue.endLate(w)
		return
	}
	w.client.queue.wake(w)
}

// letGo recycles a waiter that was given up when it comes for the second time.
func (q *callQueue) letGo(w *waiter) {
	if w.seen {
		q.recycle(w)
		return
	}
	w.seen = true
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
	q.givenUp = append(q.givenUp, w)
}

// takeGivenUp abandons the calls whose goroutines have gone, but those that
// still wait for room, which are not made when their turn comes.
func (q *callQueue) takeGivenUp(list []*waiter) {
	for i, w := range list {
		list[i] = nil
		switch {
		case w.seen:
		case w.id != 0:
			q.client.abandonCall(w.id)
			w.seen = true
		default:
			w.own, w.request = w.small[:0], nil
			q.stale++
		}
		q.letGo(w)
	}
	q.spare = list[:0]
}

// leastStale is how many waiters that were given up stay among those that wait, at least: looking for
// them takes time.
const leastStale = 32

// sweep takes those out of the waiting that were given up: there may be no room for long, and
// goroutines that try again and again. It does so when there are as many of them as there were
// others, and so costs little for each.
func (q *callQueue) sweep() {
	if q.stale <= q.keep {
		return
	}
	all := q.waiting
	q.waiting, q.stale, q.keep = waiterList{}, 0, leastStale
	for live := 0; !all.empty(); {
		w := all.shift()
		if w.isStale() {
			w.fn, w.stream = nil, nil
			q.recycle(w)
			continue
		}
		q.waiting.add(w)
		live++
		q.keep = max(live, leastStale)
	}
}

// bufferKept is how large the buffer of a request or a reply may be to be kept for the next, in bytes.
const bufferKept = 64 << 10

// reset makes a waiter ready for another call, but for its reply.
func (w *waiter) reset() {
	w.err = nil
	w.id, w.seen, w.last = 0, false, false
	w.request = nil
	if !w.lent && cap(w.own) > bufferKept {
		w.own = w.small[:0]
	}
	if w.state.Load() != waiting { // nobody else looks any more, and the next call need not wait for this
		w.state.Store(waiting)
	}
}

func (q *callQueue) recycle(w *waiter) {
	w.reset()
	w.reply, w.keeps = nil, false
	if w.typed != nil {
		w.typed.recycle()
		return
	}
	q.pool.Put(w)
}

// waiter returns a pooled waiter.
func (q *callQueue) waiter() *waiter { return q.pool.Get().(*waiter) }

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
