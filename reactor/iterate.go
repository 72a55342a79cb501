package reactor

import (
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// iterate is one iteration, as the package documentation numbers it. It does not block if waiting says that nothing
// is waited for any more; nil: it may always block.
func (l *Loop) iterate(limit time.Duration, waiting func() bool) error {
	l.stats.Iterations++
	l.runPrepare()           // 1.
	l.guarded((*Loop).flush) // 2. what was queued outside an iteration
	l.armHosted()            //    timers for what runs inside this loop
	l.timers.trim()          //    and room that timers have left
	if waiting != nil && !waiting() {
		limit = 0 // what 1 or 2 has called, a hook or OnWriteError, has ended the last
	}
	events, err := l.wait(limit) // 3. 4.
	if err != nil {
		return err
	}
	l.beginTurn()                    // 5. 13.
	l.collect(events)                // 6. what was fed, timers, descriptors
	l.guarded((*Loop).invokePending) // 7.
	l.guarded((*Loop).runDeferred)   // 8.
	if limit != 0 && len(events) == 1 {
		l.runWoken() //                 a goroutine, whose post belongs to this iteration
	}
	l.guarded((*Loop).runPosts)      // 9.
	l.guarded((*Loop).invokePending) //    and what these have made pending: signals, asyncs, exits
	l.runCheck()                     // 10.
	l.runIdle()                      // 11.
	l.guarded((*Loop).flush)         // 12. last: Poll, Stop and RunUntil leave no byte behind
	return nil
}

// beginTurn reads the clock for the iteration whose wait has ended. If that wait
// did not block, the reading also ends the turn before: a loop that is busy
// reads its clock once an iteration.
func (l *Loop) beginTurn() {
	now := l.clock()
	if l.turning {
		l.stats.Lag.add(now - l.now)
	}
	l.keeping.round = time.Duration(now - l.now)
	l.now, l.told, l.turning = now, now, true
}

// endTurn counts how long the turn has kept the loop from waiting, if beginTurn
// does not: the loop is about to block, or to leave its caller.
func (l *Loop) endTurn() {
	if l.turning {
		l.stats.Lag.add(l.clock() - l.now)
		l.turning = false
	}
}

// timeout is how long the wait may take: nothing while work is pending,
// else until the first timer, and never longer than limit.
func (l *Loop) timeout(limit time.Duration) time.Duration {
	if limit == 0 || l.mustNotBlock() {
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

// collect makes pending what was fed, what is due and what is ready, in this
// order, before any of it is called.
func (l *Loop) collect(events []poller.Event) {
	l.collectFed()
	l.collectTimers()
	l.collectEvents(events)
	l.pending.settlePriority()
}

// collectEvents makes the watchers of every descriptor that is ready pending, in
// the kernel's order.
func (l *Loop) collectEvents(events []poller.Event) {
	stale := false
	for i := range events {
		ev := &events[i]
		if ev.Ready == poller.Exited {
			l.collectExit(ev)
			continue
		}
		s := &l.slots[ev.FD]
		if s.kernel == 0 || s.gen != ev.Gen {
			stale = true
			l.stats.Stale++
			continue
		}
		l.stats.Events++
		for w := s.first; w != nil; w = w.next {
			if w.interest&ev.Ready != 0 {
				l.pend(&w.watcher, w, ev.Ready)
			}
		}
	}
	l.stale.observe(l, stale)
}

// runDeferred makes the callbacks that must not run inside the call or the
// flush that caused them.
func (l *Loop) runDeferred() {
	n := len(l.deferred)
	if n == 0 {
		return
	}
	l.pending.first = min(l.pending.first, normalLevel)
	for i := range n {
		if s := l.deferred[i]; s != nil {
			l.deferred[i] = nil // a panic must not have it called again, nor keep others from their call
			l.observe(s, s.runDeferred)
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
	if len(l.dirty) == 0 {
		return
	}
	for i := 0; i < len(l.dirty); i++ {
		s := l.dirty[i]
		if s == nil {
			continue // it panicked, and the step is entered again
		}
		l.dirty[i] = nil
		s.dirty = false
		if !s.blocked {
			l.observe(s, s.flush)
		}
	}
	l.dirty = l.dirty[:0]
}
