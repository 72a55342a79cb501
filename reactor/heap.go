package reactor

import "slices"

// timerHeap is a 4-ary heap of timers ordered by (when, seq). The deadlines are
// cached in the array, so that comparing does not touch the timers unless two
// are equal: libev's layout, for the same reason. Four children take 64 bytes.
// Aligning these to cache lines made a large heap slower; see docs/performance.md.
type timerHeap struct {
	entries []timerEntry
	burst   timerBurst // due, taken out of the heap, and to be called before it
	seq     uint32     // of the next start: equal deadlines fire in start order
}

// What a timer's index says if it is not its place in the heap.
const (
	outside = -1 // stopped, or one-shot and pending
	inBurst = -2
)

// keepTimers is how many timers' room is always kept.
const keepTimers = 4096

type timerEntry struct {
	when int64
	t    *Timer
}

func (a *timerEntry) before(b *timerEntry) bool {
	return a.when < b.when || a.when == b.when && startedBefore(a.t.seq, b.t.seq)
}

// startedBefore holds for starts that are less than 2^31 starts apart, which is
// all that one nanosecond can hold.
func startedBefore(a, b uint32) bool { return int32(a-b) < 0 }

// minTimers is the least room in the array once there is a timer.
const minTimers = 16

func (h *timerHeap) empty() bool { return h.len() == 0 }
func (h *timerHeap) len() int    { return len(h.entries) + h.burst.live }

// first is the first deadline; if that has passed, perhaps one before it.
func (h *timerHeap) first() int64 {
	if h.burst.live > 0 {
		return h.burst.when
	}
	return h.entries[0].when
}

// pop takes out the first timer; the heap is not empty.
func (h *timerHeap) pop() timerEntry {
	if h.burst.live > 0 {
		return h.burst.pop()
	}
	e := h.entries[0]
	h.removeAt(0)
	return e
}

// popAny takes out any timer, without a look at the others; there is one.
func (h *timerHeap) popAny() *Timer {
	if h.burst.live > 0 {
		return h.burst.pop().t
	}
	t := h.dropLast().t
	t.index = outside
	return t
}

// place gives a timer a deadline, wherever it is or was, and a new place in start order.
func (h *timerHeap) place(t *Timer, when int64) {
	if t.index >= 0 {
		h.move(int(t.index), when)
		return
	}
	h.remove(t)
	h.add(t, when)
}

// remove takes a timer out, if it is in.
func (h *timerHeap) remove(t *Timer) {
	switch {
	case t.index >= 0:
		h.removeAt(int(t.index))
	case t.index == inBurst:
		h.burst.forget(t)
	}
}

func (h *timerHeap) add(t *Timer, when int64) {
	if len(h.entries) == cap(h.entries) {
		h.grow()
	}
	last := len(h.entries)
	h.entries = h.entries[:last+1]
	t.seq = h.seq
	h.seq++
	h.up(last, timerEntry{when, t})
}

// grow doubles the room. append would add a quarter to a large array, which
// copies each entry three times as often, and leaves all of the copies to the
// garbage collector.
func (h *timerHeap) grow() {
	h.entries = slices.Grow(h.entries, max(len(h.entries), minTimers))
}

func (h *timerHeap) removeAt(i int) {
	h.entries[i].t.index = outside
	moved := h.dropLast()
	if i < len(h.entries) {
		h.entries[i] = moved
		h.fix(i)
	}
}

func (h *timerHeap) dropLast() timerEntry {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = timerEntry{}
	h.entries = h.entries[:last]
	return e
}

// trim gives back most of the array when three quarters of it are unused. The loop
// does it before it waits: timers that are stopped in order to be started again
// do not have the array made anew.
func (h *timerHeap) trim() {
	if c := cap(h.entries); c > keepTimers && len(h.entries) < c/4 {
		h.entries = append(make([]timerEntry, 0, max(2*len(h.entries), keepTimers)), h.entries...)
	}
}

// move gives the timer at i a new deadline and a new place in start order.
func (h *timerHeap) move(i int, when int64) {
	h.entries[i].when = when
	h.entries[i].t.seq = h.seq
	h.seq++
	h.fix(i)
}

func (h *timerHeap) fix(i int) {
	if i > 0 && h.entries[i].before(&h.entries[(i-1)/4]) {
		h.up(i, h.entries[i])
	} else {
		h.down(i)
	}
}

// up puts an entry at i, or as many levels above as it is before what is there.
func (h *timerHeap) up(i int, e timerEntry) {
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&h.entries[parent]) {
			break
		}
		h.set(i, h.entries[parent])
		i = parent
	}
	h.set(i, e)
}

func (h *timerHeap) down(i int) {
	e := h.entries[i]
	for {
		least := h.leastChild(i)
		if least < 0 || !h.entries[least].before(&e) {
			break
		}
		h.set(i, h.entries[least])
		i = least
	}
	h.set(i, e)
}

// leastChild returns the index of i's first child in order, or -1.
func (h *timerHeap) leastChild(i int) int {
	first := 4*i + 1
	if first >= len(h.entries) {
		return -1
	}
	least := first
	for c := first + 1; c < min(first+4, len(h.entries)); c++ {
		if h.entries[c].before(&h.entries[least]) {
			least = c
		}
	}
	return least
}

func (h *timerHeap) set(i int, e timerEntry) {
	h.entries[i] = e
	e.t.index = int32(i)
}
