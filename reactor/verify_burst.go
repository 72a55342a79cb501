package reactor

import (
	"fmt"
	"slices"
)

// verify is Verify for a burst, beside what is left in the heap.
func (b *timerBurst) verify(heap []timerEntry, refs *int) error {
	live := 0
	var ahead, latest timerEntry // the latest of the parts before, and of all so far
	for i, e := range b.entries {
		if i <= b.sorted || slices.Contains(b.ends, i) {
			ahead = latest // a part begins; in order, each is one
		}
		if e.t == nil || e.t.index != inBurst {
			continue
		}
		switch live++; {
		case i < b.next || !e.t.active:
			return fmt.Errorf("reactor: timer %d of a burst, called up to %d, active %v", i, b.next, e.t.active)
		case e.when < b.when:
			return fmt.Errorf("reactor: timer %d of a burst is due before its first", i)
		case len(heap) > 0 && heap[0].before(&e):
			return fmt.Errorf("reactor: timer %d of a burst is due after the heap's first", i)
		case ahead.t != nil && e.before(&ahead):
			return fmt.Errorf("reactor: timer %d of a burst is due before one ahead of it", i)
		case i >= b.sorted && len(b.ends) == 0:
			return fmt.Errorf("reactor: timer %d of a burst, sorted up to %d, is in none of its parts", i, b.sorted)
		}
		if latest.t == nil || latest.before(&e) {
			latest = e
		}
		if !e.t.unref {
			*refs++
		}
	}
	if live != b.live {
		return fmt.Errorf("reactor: a burst has %d timers and counts %d", live, b.live)
	}
	return nil
}
