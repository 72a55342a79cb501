package reactor

import "slices"

// timerBurst holds the timers that are due when they are too many to be taken out
// of the heap one by one. It takes all of them at once, in time proportional to
// their number alone, and sorts them part by part as they are called, so that
// no iteration pays for the order of what only later ones will call.
//
// All of it is due before whatever the heap holds: what is started meanwhile has a
// later deadline, or an equal one and a later place. So it is used up first, and
// taken anew only then.
//
// A timer that is stopped or reset leaves its entry behind, in O(1): an entry
// counts as long as its timer's index is inBurst.
type timerBurst struct {
	entries []timerEntry
	next    int   // entries[next:] have not been called
	sorted  int   // entries[next:sorted] are in order, and before all others
	ends    []int // of the parts behind that, the last first: each is before what follows it
	live    int   // entries that count
	when    int64 // the first deadline at most
}

const (
	// burstAfter is how many due timers are taken out of the heap one by one
	// before the rest counts as a burst.
	burstAfter = 64

	// burstSort is how long a part of a burst may be to be sorted whole.
	burstSort = timersPerIteration
)

// takeDue moves everything that is due by now from the heap to the burst, which is empty.
func (h *timerHeap) takeDue(now int64) {
	b := &h.burst
	b.when = h.first()
	if h.allDue(now) {
		h.entries, b.entries = b.entries, h.entries
		for i := range b.entries {
			b.entries[i].t.index = inBurst
		}
	} else {
		h.splitDue(now)
	}
	b.live = len(b.entries)
	b.ends = append(b.ends, len(b.entries))
}

func (h *timerHeap) allDue(now int64) bool { return h.leadingDue(now, len(h.entries)) }

// leadingDue reports whether the first n in the array are due.
func (h *timerHeap) leadingDue(now int64, n int) bool {
	if n > len(h.entries) {
		return false
	}
	for i := range h.entries[:n] {
		if h.entries[i].when > now {
			return false
		}
	}
	return true
}

// bursts reports whether what is due is a burst, after so many have been taken out
// one by one.
func (h *timerHeap) bursts(now int64, taken int) bool {
	return h.burst.live == 0 && (taken == burstAfter || taken == 0 && h.leadingDue(now, burstAfter))
}

// splitDue is takeDue for a part of the heap, which is the top of its tree. The
// places it leaves are filled from the lowest up, so that below each of them
// there is a heap.
func (h *timerHeap) splitDue(now int64) {
	due := append(h.burst.entries, h.entries[0])
	for i := 0; i < len(due); i++ { // level by level: their places ascend
		first := 4*int(due[i].t.index) + 1
		for c := first; c < min(first+4, len(h.entries)); c++ {
			if h.entries[c].when <= now {
				due = append(due, h.entries[c])
			}
		}
	}
	for i := len(due) - 1; i >= 0; i-- {
		t := due[i].t
		if moved, place := h.dropLast(), int(t.index); place < len(h.entries) {
			h.entries[place] = moved
			h.down(place)
		}
		t.index = inBurst
	}
	h.burst.entries = due
}

// pop takes out the first entry that counts, if there is one.
func (b *timerBurst) pop() timerEntry {
	for {
		if b.next == b.sorted {
			b.sortPart()
		}
		e := b.entries[b.next]
		b.entries[b.next].t = nil
		b.next++
		if e.t.index == inBurst {
			b.forget(e.t)
			return e
		}
	}
}

// forget takes a timer out; with the last one the array is given back, unless it is small.
func (b *timerBurst) forget(t *Timer) {
	t.index = outside
	if b.live--; b.live > 0 {
		return
	}
	if cap(b.entries) > keepTimers {
		b.entries = nil
	}
	clear(b.entries)
	*b = timerBurst{entries: b.entries[:0], ends: b.ends[:0]}
}

// sortPart brings the next part into order: one step of a quicksort that goes on
// only where the next to be called are. Most bursts are in order already, or
// nearly so, because timers of the same delay are started one after the other.
func (b *timerBurst) sortPart() {
	for {
		last := len(b.ends) - 1
		part := b.entries[b.next:b.ends[last]]
		if !inOrder(part) {
			if n := divide(part); n > 0 {
				b.ends = append(b.ends, b.next+n)
				continue
			}
			slices.SortFunc(part, compareEntries)
		}
		b.sorted, b.ends = b.ends[last], b.ends[:last]
		return
	}
}

func compareEntries(a, b timerEntry) int {
	switch {
	case a.before(&b):
		return -1
	case b.before(&a):
		return 1
	}
	return 0
}

// inOrder is written out because it is all that most bursts need.
func inOrder(part []timerEntry) bool {
	for i := 1; i < len(part); i++ {
		if part[i].before(&part[i-1]) {
			return false
		}
	}
	return true
}

// divide puts the entries before a pivot, the median of three, to the front of a
// long part and returns how many they are. It returns 0 if the part is to be
// sorted whole: it is short, or the pivot is far from the middle. Sorting is
// never quadratic; dividing would be, if that went on.
func divide(part []timerEntry) int {
	if len(part) <= burstSort {
		return 0
	}
	pivot := median(part[0], part[len(part)/2], part[len(part)-1])
	n := 0
	for i := range part {
		if part[i].before(&pivot) {
			part[i], part[n] = part[n], part[i]
			n++
		}
	}
	if least := len(part) / 16; n < least || n > len(part)-least {
		return 0
	}
	return n
}

func median(a, b, c timerEntry) timerEntry {
	s := [...]timerEntry{a, b, c}
	slices.SortFunc(s[:], compareEntries)
	return s[1]
}
