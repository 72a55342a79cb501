package rpc

import "slices"

// With several processors replies that come together are decoded by one goroutine as long as they are no
// more than that: it has its own reply only after them, and other processors may have nothing to do.
const batchReplies = smallCrowd

// replyBatch is replies that have come together, and the waiters whose they are.
type replyBatch struct {
	bytes  [batchReplies * smallReply]byte
	used   int
	first  *typedWaiter // to be woken: who has decoded most, since a stack that has grown is in the cache
	others [batchReplies - 1]*typedWaiter
	count  int // of the others
}

// gather adds a small reply to those that have come before, which are handed out when they are many enough.
func (q *callQueue) gather(t *typedWaiter, reply Payload) {
	b := q.batch
	if b == nil {
		b = q.batches.Get().(*replyBatch)
		q.batch = b
	}
	end := b.used + copy(b.bytes[b.used:], reply)
	t.reply = b.bytes[b.used:end:end]
	b.used = end
	if b.first == nil {
		b.first = t
	} else {
		if t.led > b.first.led {
			t, b.first = b.first, t
		}
		b.others[b.count] = t
		b.count++
	}
	q.giveWay(smallCrowd)
	if b = q.batch; b != nil && b.count == len(b.others) {
		q.handOut()
	}
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

// decode decodes all replies but that of the goroutine it is called by, and wakes those whose they are. Between two of these nothing else is
// done, so that the processor looks for the memory of several at once. If the codec panics, each
// goroutine decodes its own: the panic is that of the one whose reply it was.
func (b *replyBatch) decode() {
	others := b.others[:b.count]
	defer clear(others)
	if !decodeEach(others) {
		for _, t := range others {
			t.reply = slices.Clone(t.reply) // the batch goes on
		}
	}
	for _, t := range others {
		t.ready <- struct{}{}
	}
}

// decodeEach reports whether the codec has decoded all of these without a panic.
func decodeEach(list []*typedWaiter) (done bool) {
	var t *typedWaiter
	defer func() {
		if !done {
			_ = recover()
			t.values.zeroReply()
		}
	}()
	for _, t = range list {
		t.err = t.values.decodeReply(t.reply)
		t.decoded = true
	}
	return true
}
