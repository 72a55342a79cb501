package rpc

import (
	"errors"
	"slices"
)

// A typed call of a goroutine is handed over if its values are small and its codec calls
// nobody: its request is encoded on the loop, at its place in the stream, and its reply is decoded by
// the goroutine that is woken first of those whose replies have come together. A goroutine
// that does both itself has to touch a stack that is not in the cache, and needs
// more of it than the 2 kB it begins with: it grows, and with each collection of garbage shrinks again. There may be thousands of them. The
// loop does not decode, because other processors can do that meanwhile.

// typedWaiter is a typed call as its waiter knows it.
type typedWaiter interface {
	appendCall(buf []byte) ([]byte, error)
	decodeReply(reply Payload) error
	recycle()
}

const (
	// smallReply is how long the reply to a call that is handed over may be: a longer one is
	// decoded by its own goroutine, at the same time as others.
	smallReply = 512

	// Replies that come together are decoded by one goroutine as long as they are no
	// more than that: it has its own reply only after them, and other processors may have nothing to do.
	batchReplies = 64
	batchBytes   = 8 << 10
)

// errUnencoded is the end of a call whose codec has panicked on the loop.
var errUnencoded = errors.New("rpc: the codec has panicked")

// handedWaiter is a waiter as the Completion of a call that was handed over.
type handedWaiter waiter

// makeHanded makes a call that was handed over.
func (c *Client) makeHanded(w *waiter) error {
	if !w.patient {
		w.reading.Lock() // the goroutine may give up, and then change what the request refers to
		defer w.reading.Unlock()
		if w.isGivenUp() {
			return ErrCanceled // which nobody hears of
		}
	}
	options := CallOptions{Deadline: w.deadline}
	id, err := c.sendEncoded((*handedWaiter)(w), options, c.due(options), w.appendRequest)
	if err == nil {
		w.id = id
	}
	return err
}

// appendRequest encodes the request on the loop, whose panic a panic of the codec must
// not be.
func (w *waiter) appendRequest(buf []byte) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errUnencoded
		}
	}()
	return w.typed.appendCall(buf)
}

// Complete implements Completion.
func (h *handedWaiter) Complete(reply Payload, err error) {
	w := (*waiter)(h)
	if err != nil || len(reply) > smallReply {
		w.Complete(reply, err)
		return
	}
	if !w.patient && !w.state.CompareAndSwap(waiting, completed) {
		w.client.queue.letGo(w)
		return
	}
	w.client.queue.gather(w, reply)
}

// replyBatch is replies that have come together, and the waiters whose they are.
type replyBatch struct {
	bytes   [batchBytes]byte
	used    int
	waiters waiterList
	count   int
}

// gather adds a reply to those that have come before, which are handed out if it does not fit.
func (q *callQueue) gather(w *waiter, reply Payload) {
	b := q.batch
	if b != nil && (b.count == batchReplies || len(reply) > len(b.bytes)-b.used) {
		q.handOut()
		b = nil
	}
	if b == nil {
		b = q.batches.Get().(*replyBatch)
		q.batch = b
	}
	end := b.used + copy(b.bytes[b.used:], reply)
	w.reply = b.bytes[b.used:end:end]
	b.used = end
	b.waiters.add(w)
	b.count++
}

// handOut wakes the first of those whose replies have been gathered; it wakes the others.
func (q *callQueue) handOut() {
	b := q.batch
	if b == nil {
		return
	}
	q.batch = nil
	first := b.waiters.shift()
	first.batch = b
	q.client.loop.Yielding()
	first.ready <- struct{}{}
}

// finish decodes, on the goroutine that has waited, what was not decoded elsewhere: before
// its own reply those that came with it.
func (w *waiter) finish() error {
	b := w.batch
	if b != nil {
		b.decode()
	}
	if w.err == nil && !w.decoded {
		w.err = w.typed.decodeReply(w.reply)
	}
	if b != nil {
		w.batch, b.used, b.count = nil, 0, 0
		w.client.queue.batches.Put(b)
	}
	return w.err
}

// decode decodes all replies but that of the goroutine it is called by.
func (b *replyBatch) decode() {
	for !b.waiters.empty() {
		w := b.waiters.shift()
		w.decodeForOther()
		w.ready <- struct{}{}
	}
}

// decodeForOther decodes the reply of another goroutine, or leaves that to it if the codec
// panics.
func (w *waiter) decodeForOther() {
	defer func() {
		if !w.decoded && recover() != nil {
			w.reply = slices.Clone(w.reply) // the batch goes on
		}
	}()
	w.err = w.typed.decodeReply(w.reply)
	w.decoded = true
}
