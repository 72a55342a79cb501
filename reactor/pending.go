package reactor

import "math/bits"

// The range of priorities. Within an iteration a watcher of higher priority is
// called before one of lower, whatever happened first.
const (
	MinPriority = -2
	MaxPriority = 2

	levels      = MaxPriority - MinPriority + 2
	ownLevel    = 0               // of the loop's own watchers, which only make others pending: in time, whatever their priority
	normalLevel = MaxPriority + 1 // of priority 0; level 1 is the highest that there is
)

// callable is a watcher as the pending queue sees it.
type callable interface {
	base() *watcher
	// invoke makes the callback. The watcher is not pending any more.
	invoke(ready Ready)
	// describe says what kind of watcher it is, and its descriptor or -1.
	describe() (kind string, fd int)
}

// pendingSet holds the watchers for which something has happened in this
// iteration, by level, in the order in which it happened. Everything is put here
// before the first callback runs, so a callback can still stop what would come
// after it, and what it starts waits for the next iteration.
type pendingSet struct {
	queues [levels]pendingQueue
	used   uint8          // bit i: queue i is not empty
	fed    []pendingEntry // by Feed: moved into the queues by the next iteration
	first  int            // highest level that had something to call in this iteration
}

type pendingQueue struct {
	entries []pendingEntry
	next    int // entries[next:] have not been called
	vain    int // that many of those called had nothing to be called for
}

// pendingEntry is a call to be made; call is nil if its watcher was stopped.
type pendingEntry struct {
	call  callable
	ready Ready
}

// keepPending is how many entries' room a queue keeps for the next iteration.
const keepPending = 8192

// pend makes a watcher pending. If it is already, its conditions are joined, and
// it is called once.
func (l *Loop) pend(w *watcher, call callable, ready Ready) {
	if e := l.pendingOf(w); e != nil {
		e.ready |= ready
		return
	}
	l.pending.used |= 1 << w.level
	q := &l.pending.queues[w.level]
	q.entries = append(q.entries, pendingEntry{call, ready})
	w.pending = int32(len(q.entries))
}

// pendLate makes a watcher pending when the batch has been collected already: it is
// called when what is being called, or the posts, are through.
func (l *Loop) pendLate(w *watcher, call callable) {
	l.pending.first = min(l.pending.first, int(w.level))
	l.pend(w, call, 0)
}

// feed makes a watcher pending in the next iteration, or joins what it is
// pending for already.
func (l *Loop) feed(w *watcher, call callable, ready Ready) error {
	if !w.active {
		return ErrNotActive
	}
	if e := l.pendingOf(w); e != nil {
		e.ready |= ready
		return nil
	}
	l.pending.fed = append(l.pending.fed, pendingEntry{call, ready})
	w.pending = int32(-len(l.pending.fed))
	l.nudge()
	return nil
}

// pendingOf finds what a watcher is pending for; nil if it is not.
func (l *Loop) pendingOf(w *watcher) *pendingEntry {
	switch {
	case w.pending > 0:
		return &l.pending.queues[w.level].entries[w.pending-1]
	case w.pending < 0:
		return &l.pending.fed[-w.pending-1]
	}
	return nil
}

// unpend takes back what a watcher is pending for.
func (l *Loop) unpend(w *watcher) {
	if e := l.pendingOf(w); e != nil {
		e.call = nil
		w.pending = 0
	}
}

// collectFed makes pending what was fed since the last iteration.
func (l *Loop) collectFed() {
	for i, e := range l.pending.fed {
		if e.call != nil {
			l.pending.fed[i].call = nil
			e.call.base().pending = 0
			l.pend(e.call.base(), e.call, e.ready)
		}
	}
	if cap(l.pending.fed) > keepPending {
		l.pending.fed = nil
	}
	l.pending.fed = l.pending.fed[:0]
}

// settlePriority notes the highest level that is about to be called, which is
// what locks out idle watchers. The loop's own say later what they have made pending.
func (p *pendingSet) settlePriority() { p.first = bits.TrailingZeros8(p.used &^ (1 << ownLevel)) }

// calledInVain is told by a watcher, when it is called, that it has found nothing to tell anybody: if no other of its level has, idle
// watchers are locked out by what is pending behind it only.
func (l *Loop) calledInVain(w *watcher) {
	q := &l.pending.queues[w.level]
	if q.vain++; q.vain == len(q.entries) && l.pending.first == int(w.level) {
		l.pending.first = bits.TrailingZeros8(l.pending.used &^ (1 << w.level))
	}
}

// invokePending calls what is pending, highest level first. If a callback
// panics, calling it again goes on with the next.
func (l *Loop) invokePending() {
	for l.pending.used != 0 {
		level := bits.TrailingZeros8(l.pending.used)
		q := &l.pending.queues[level]
		for q.next < len(q.entries) {
			e := &q.entries[q.next]
			q.next++
			if call := e.call; call != nil {
				e.call = nil
				call.base().pending = 0
				if l.observer == nil {
					call.invoke(e.ready)
				} else {
					l.invokeObserved(call, e.ready)
				}
			}
		}
		q.reset()
		l.pending.used &^= 1 << level
	}
}

func (l *Loop) invokeObserved(call callable, ready Ready) {
	l.observer.begin(l, call)
	call.invoke(ready)
	l.observer.end(l)
}

func (q *pendingQueue) reset() {
	if cap(q.entries) > keepPending {
		q.entries = nil
	}
	q.entries, q.next, q.vain = q.entries[:0], 0, 0
}

// dropPending forgets what will not be called any more, on a loop that has
// ended. A one-shot timer that is pending is in no other list.
func (l *Loop) dropPending() {
	drop := func(entries []pendingEntry) {
		for _, e := range entries {
			if e.call == nil {
				continue
			}
			e.call.base().pending = 0
			if t, ok := e.call.(*Timer); ok {
				t.Stop()
			}
		}
	}
	for i := range l.pending.queues {
		drop(l.pending.queues[i].entries)
	}
	drop(l.pending.fed)
	l.pending = pendingSet{}
}
