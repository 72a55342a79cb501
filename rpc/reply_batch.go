package rpc

import "slices"

// Replies that come together are decoded by one goroutine as long as they are no
// more than that: it has its own reply only after them, and other processors may have nothing to do.
const (
	batchReplies = 128
	batchBytes   = 8 << 10
)

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
			t.values.zeroReply()
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
