package reactor

import (
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// iterate is one iteration, as the package documentation numbers it.
func (l *Loop) iterate(limit time.Duration) error {
	l.stats.Iterations++
	l.flush()                               // 1. what was queued outside an iteration
	events, err := l.wait(l.timeout(limit)) // 2. 3.
	if err != nil {
		return err
	}
	l.now = l.clock()  // 4.
	l.runTimers()      // 5.
	l.dispatch(events) // 6.
	l.runDeferred()    // 7.
	l.runPosts()       // 8.
	l.flush()          // 9. last: Poll, Stop and RunUntil leave no byte behind
	return nil
}

// timeout is how long the next wait may take: nothing while work is pending,
// else until the first timer, and never longer than limit.
func (l *Loop) timeout(limit time.Duration) time.Duration {
	if limit == 0 || l.pendingWork() {
		return 0
	}
	if l.timers.empty() {
		return limit
	}
	next := max(time.Duration(l.timers.first()-l.clock()), 0)
	if limit < 0 {
		return next
	}
	return min(next, limit)
}

// dispatch calls the watchers of every descriptor that is ready, in the
// kernel's order. Each is asked for its current interest right before its call:
// an earlier callback of this batch may have changed or stopped it.
func (l *Loop) dispatch(events []poller.Event) {
	stale := false
	for i := range events {
		ev := &events[i]
		if ev.Ready == poller.Exited {
			if l.processExited(ev) {
				l.stats.Events++
			} else {
				l.stats.Stale++ // stopped by an earlier callback of this batch
			}
			continue
		}
		if s := &l.slots[ev.FD]; s.kernel == 0 || s.gen != ev.Gen {
			stale = true
			l.stats.Stale++
			continue
		}
		l.stats.Events++
		for w := l.slots[ev.FD].first; w != nil; w = l.cursor {
			l.cursor = w.next
			if ready := w.interest & ev.Ready; ready != 0 && w.started != l.stats.Iterations {
				w.fn(ready)
				if l.slots[ev.FD].gen != ev.Gen {
					break // closed and reused by the callback: not our event
				}
			}
		}
	}
	l.stale.observe(l, stale)
}

// runDeferred makes the callbacks that must not run inside the call or the
// flush that caused them.
func (l *Loop) runDeferred() {
	n := len(l.deferred)
	for i := range n {
		if s := l.deferred[i]; s != nil {
			l.deferred[i] = nil // a panic must not have it called again, nor keep others from their call
			s.runDeferred()
		}
	}
	rest := copy(l.deferred, l.deferred[n:])
	clear(l.deferred[rest:])
	l.deferred = l.deferred[:rest]
}

// flush writes what streams have queued, except for those that have met a full
// pipe meanwhile: the poller will tell of room. A stream flushed here may be
// queued again only by a later step, so this ends.
func (l *Loop) flush() {
	for i := 0; i < len(l.dirty); i++ {
		s := l.dirty[i]
		l.dirty[i] = nil
		s.dirty = false
		if !s.blocked {
			s.flush()
		}
	}
	l.dirty = l.dirty[:0]
}
