package rpc

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A typed call of a goroutine is handed over if its values are small and its codec calls
// nobody: its request is encoded on the loop, at its place in the stream, and its reply is decoded by
// the goroutine that is woken first of those whose replies have come together. A goroutine
// that does both itself has to touch a stack that is not in the cache, and needs
// more of it than the 2 kB it begins with: it grows, and with each collection of garbage shrinks again. There may be thousands of them. The
// loop does not decode, because other processors can do that meanwhile.

// typedValues are the values of a typed call.
type typedValues interface {
	appendCall(buf []byte) ([]byte, error)
	decodeReply(reply Payload) error
	recycle()
}

// typedWaiter is the waiter of a typed call.
type typedWaiter struct {
	values   typedValues
	batch    *replyBatch // which this goroutine decodes
	encoding sync.Mutex  // held by the loop while it encodes the request, and to give up
	led      uint32      // how many batches it has decoded
	handed   bool        // the call is handed over
	decoded  bool        // by another goroutine
	waiter
}

func (t *typedWaiter) init(values typedValues) {
	t.waiter.init()
	t.waiter.typed = t
	t.values = values
}

// recycle gives a waiter back that has been reset.
func (t *typedWaiter) recycle() {
	t.decoded = false
	t.values.recycle()
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

// wait hands the waiter to the loop and waits for the end of the call. After an error it
// belongs to others.
func (t *typedWaiter) wait(ctx context.Context) error {
	c := t.client
	if err := c.begin(ctx, &t.waiter); err != nil {
		return err
	}
	if t.patient {
		<-t.ready
	} else if !t.waiter.wait(ctx) {
		c.queue.giveUp(&t.waiter)
		return endOf(ctx)
	}
	return nil
}

// makeHanded makes a call that was handed over.
func (c *Client) makeHanded(t *typedWaiter) (err error) {
	var options CallOptions
	if !t.patient {
		options.Deadline = t.deadline
		t.encoding.Lock() // the goroutine may give up, and then change what the request refers to
		defer t.encoding.Unlock()
		if t.isGivenUp() {
			return ErrCanceled // which nobody hears of
		}
	}
	if err = c.refusal(); err != nil {
		return err
	}
	k, buf, start := c.frameOf(options, c.due(options))
	encoded, err := t.encode(buf)
	if err != nil {
		c.stream.Commit(buf[:start])
		return err
	}
	t.id, err = c.send(k, encoded, start, t)
	return err
}

// encode appends the request, on the loop, whose panic a panic of the codec must not be.
func (t *typedWaiter) encode(buf []byte) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errUnencoded
		}
	}()
	return t.values.appendCall(buf)
}

// Complete implements Completion, for a call that was handed over.
func (t *typedWaiter) Complete(reply Payload, err error) {
	if err != nil || len(reply) > smallReply {
		t.waiter.Complete(reply, err)
		return
	}
	q := &t.client.queue
	if !t.patient && !t.state.CompareAndSwap(waiting, completed) {
		q.letGo(&t.waiter)
		return
	}
	q.gather(t, reply)
}

// replyBatch is replies that have come together, and the waiters whose they are.
type replyBatch struct {
	bytes   [batchBytes]byte
	used    int
	first   *typedWaiter // to be woken: who has decoded most, since a stack that has grown is in the cache
	waiters waiterList   // the others
	count   int
}

// gather adds a reply to those that have come before, which are handed out if it does not fit.
func (q *callQueue) gather(t *typedWaiter, reply Payload) {
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
	t.reply = b.bytes[b.used:end:end]
	b.used = end
	b.count++
	switch {
	case b.first == nil:
		b.first = t
		return
	case t.led > b.first.led:
		t, b.first = b.first, t
	}
	b.waiters.add(&t.waiter)
}

// handOut wakes the first of those whose replies have been gathered; it wakes the others.
func (q *callQueue) handOut() {
	b := q.batch
	if b == nil {
		return
	}
	q.batch = nil
	first := b.first
	b.first = nil
	first.batch = b
	first.led++
	q.client.loop.Yielding()
	first.ready <- struct{}{}
}

// finish decodes, on the goroutine that has waited, what was not decoded elsewhere: before
// its own reply those that came with it.
func (t *typedWaiter) finish() error {
	b := t.batch
	if b != nil {
		b.decode()
	}
	if t.err == nil && !t.decoded {
		t.err = t.values.decodeReply(t.reply)
	}
	if b != nil {
		t.batch, b.used, b.count = nil, 0, 0
		t.client.queue.batches.Put(b)
	}
	return t.err
}

// decode decodes all replies but that of the goroutine it is called by. If the codec panics, each
// goroutine decodes its own: the panic is that of the one whose reply it was.
func (b *replyBatch) decode() {
	var t *typedWaiter
	defer func() {
		for t != nil {
			_ = recover()
			t.reply = slices.Clone(t.reply) // the batch goes on
			t.ready <- struct{}{}
			t = b.next()
		}
	}()
	for t = b.next(); t != nil; t = b.next() {
		t.err = t.values.decodeReply(t.reply)
		t.decoded = true
		t.ready <- struct{}{}
	}
}

func (b *replyBatch) next() *typedWaiter {
	if b.waiters.empty() {
		return nil
	}
	return b.waiters.shift().typed
}
