package rpc

import "time"

// deadlines is a heap of calls with a time: their deadline or, after that, the
// end of the patience with a child that does not answer. It is indexed by the call
// table, whose entries know their place, so that a call that ends leaves it.
type deadlines struct {
	heap []timedCall
}

// timedCall is a call with a time, since the client's timebase began.
type timedCall struct {
	at time.Duration
	id uint32
}

// schedule gives a call in the table a time, instead of the one it has.
func (t *callTable) schedule(id uint32, at time.Duration) {
	t.unschedule(t.entry(id))
	t.times.heap = append(t.times.heap, timedCall{at, id})
	t.siftUp(len(t.times.heap) - 1)
}

// unschedule takes the time of a call away, if it has one.
func (t *callTable) unschedule(e *call) {
	if e.timed == 0 {
		return
	}
	i := int(e.timed) - 1
	e.timed = 0
	h := t.times.heap
	last := len(h) - 1
	moved := h[last]
	t.times.heap = h[:last]
	if i == last {
		return
	}
	h[i] = moved
	if !t.siftUp(i) {
		t.siftDown(i)
	}
}

// first is the call with the earliest time.
func (t *callTable) first() (timedCall, bool) {
	if len(t.times.heap) == 0 {
		return timedCall{}, false
	}
	return t.times.heap[0], true
}

// put stores c in a place and tells its entry.
func (t *callTable) put(i int, c timedCall) {
	t.times.heap[i] = c
	t.entry(c.id).timed = int32(i + 1)
}

// siftUp reports whether the call at i was moved.
func (t *callTable) siftUp(i int) bool {
	c, start := t.times.heap[i], i
	for i > 0 {
		parent := (i - 1) / 2
		if t.times.heap[parent].at <= c.at {
			break
		}
		t.put(i, t.times.heap[parent])
		i = parent
	}
	t.put(i, c)
	return i != start
}

func (t *callTable) siftDown(i int) {
	h := t.times.heap
	c := h[i]
	for {
		least := 2*i + 1
		if least >= len(h) {
			break
		}
		if other := least + 1; other < len(h) && h[other].at < h[least].at {
			least = other
		}
		if c.at <= h[least].at {
			break
		}
		t.put(i, h[least])
		i = least
	}
	t.put(i, c)
}
