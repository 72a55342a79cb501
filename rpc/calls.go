package rpc

import "sort"

// Completion receives the end of a call: an interface on the caller's own
// struct, so that a call needs no closure. It runs on the loop; the reply is a
// view that is valid until Complete returns.
type Completion interface {
	Complete(reply Payload, err error)
}

// callbackFunc makes a Completion of a func. A func is one pointer, so putting
// it in the interface does not allocate.
type callbackFunc func(Payload, error)

// Complete implements Completion. Nobody wants to know how a call with a nil func
// ends, but it is in flight like any other.
func (f callbackFunc) Complete(reply Payload, err error) {
	if f != nil {
		f(reply, err)
	}
}

// callTable holds the calls in flight, each at its id modulo the table's size.
// Ids count up, so a reply that comes twice, or for a call that never was, does
// not find its id; an id whose place is taken by an old call is skipped. The
// table is kept at most half full.
type callTable struct {
	entries []call // a power of two
	count   int
	nextID  uint32
	oldest  uint32 // takeOldest's
	idMask  uint32 // ids run from 1 to idMask
	times   deadlines
}

type call struct {
	to    Completion // nil: the place is free
	end   uint64     // Stream.Accepted after the call's frame
	id    uint32
	timed int32 // place in the heap of deadlines plus one; 0: none
}

// abandoned is the Completion of a call that has ended here, and whose place is
// kept until the child has answered it.
type abandoned struct{}

// Complete implements Completion: the late reply is dropped.
func (abandoned) Complete(Payload, error) {}

// isAbandoned reports whether the call has ended for its caller.
func (c *call) isAbandoned() bool { return c.to == Completion(abandoned{}) }

const minCalls = 16

func newCallTable(wire Wire) callTable {
	return callTable{entries: make([]call, minCalls), nextID: 1, oldest: 1, idMask: wire.idMask()}
}

// reserve returns the id of the next call, whose place is free.
func (t *callTable) reserve() uint32 {
	if 2*t.count >= len(t.entries) {
		t.grow()
	}
	mask := uint32(len(t.entries) - 1)
	for t.nextID == 0 || t.entries[t.nextID&mask].to != nil {
		t.nextID = (t.nextID + 1) & t.idMask
	}
	return t.nextID
}

// add puts the call with the reserved id in its place.
func (t *callTable) add(id uint32, to Completion, end uint64) {
	*t.entry(id) = call{to: to, end: end, id: id}
	t.count++
	t.nextID = (id + 1) & t.idMask
}

// entry is the place of the call with an id, which may be another's.
func (t *callTable) entry(id uint32) *call { return &t.entries[id&uint32(len(t.entries)-1)] }

// find returns the call with an id; nil if there is none.
func (t *callTable) find(id uint32) *call {
	if e := t.entry(id); e.id == id && e.to != nil {
		return e
	}
	return nil
}

// take removes the call with an id; nil if there is none.
func (t *callTable) take(id uint32) Completion {
	e := t.find(id)
	if e == nil {
		return nil
	}
	to := e.to
	e.to = nil
	t.count--
	if e.timed != 0 {
		t.unschedule(e)
	}
	return to
}

// abandon keeps the place of a call that ends here, and returns to whom.
func (t *callTable) abandon(e *call) Completion {
	to := e.to
	e.to = abandoned{}
	t.unschedule(e)
	return to
}

// grow doubles the table. Two ids with different places keep different places.
func (t *callTable) grow() {
	old := t.entries
	t.entries = make([]call, 2*len(old))
	for _, e := range old {
		if e.to != nil {
			t.entries[e.id&uint32(len(t.entries)-1)] = e
		}
	}
}

// drain empties the table and returns its calls in the order they were made.
func (t *callTable) drain() []call {
	var all []call
	for i := range t.entries {
		if t.entries[i].to != nil {
			all = append(all, t.entries[i])
			t.entries[i].to = nil
		}
	}
	t.count = 0
	t.times = deadlines{}
	sort.Sort(byEnd(all))
	return all
}

// byEnd implements sort.Interface: calls in the order of their ends. Package slices would make code for this type, nine kB of each worker's memory; that of package sort is there
// already, for package bytebufferpool.
type byEnd []call

// Len implements sort.Interface.
func (s byEnd) Len() int { return len(s) }

// Less implements sort.Interface.
func (s byEnd) Less(i, j int) bool { return s[i].end < s[j].end }

// Swap implements sort.Interface.
func (s byEnd) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// takeOldest removes the call that was made first. The table must not be used
// with take as well: then ids in flight are consecutive, because nothing in a
// table that is half empty is in the way of the next id.
func (t *callTable) takeOldest() Completion {
	to := t.take(t.oldest)
	if to != nil {
		t.oldest = (t.oldest + 1) & t.idMask
		if t.oldest == eventID {
			t.oldest++
		}
	}
	return to
}
