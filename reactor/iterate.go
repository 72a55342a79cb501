package reactor

import (
	"runtime"
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// forever is the timeout of a wait that only an event ends.
const forever time.Duration = -1

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

// wait asks the poller without blocking; then, if callbacks have made goroutines
// runnable, lets these run and asks again, because what they do is usually a
// Post; and only then blocks, announcing that first so that Post wakes it.
func (l *Loop) wait(timeout time.Duration) ([]poller.Event, error) {
	events, err := l.ask(0)
	if timeout == 0 || len(events) > 0 || err != nil {
		return events, err
	}
	if l.yield {
		l.yield = false
		runtime.Gosched()
		if events, err = l.ask(0); l.posts.any() || len(events) > 0 || err != nil {
			return events, err
		}
	}
	if l.config.BusyPoll > 0 {
		if events, err = l.busyPoll(timeout); l.posts.any() || len(events) > 0 || err != nil {
			return events, err
		}
	}
	l.posts.wanted.Store(true)
	defer l.posts.wanted.Store(false)
	if l.posts.any() {
		return nil, nil
	}
	l.stats.Blocked++
	return l.ask(timeout)
}

// busyPoll polls for Config.BusyPoll, or for timeout if that is shorter.
func (l *Loop) busyPoll(timeout time.Duration) ([]poller.Event, error) {
	limit := l.config.BusyPoll
	if timeout > 0 {
		limit = min(limit, timeout)
	}
	for start := l.clock(); l.clock()-start < int64(limit); {
		if events, err := l.ask(0); l.posts.any() || len(events) > 0 || err != nil {
			return events, err
		}
	}
	return nil, nil
}

func (l *Loop) ask(timeout time.Duration) ([]poller.Event, error) {
	l.stats.Waits++
	events, err := l.poller.Wait(timeout)
	return events, opError("wait", -1, err)
}

// dispatch calls the watchers of every descriptor that is ready, in the
// kernel's order. Each is asked for its current interest right before its call:
// an earlier callback of this batch may have changed or stopped it.
func (l *Loop) dispatch(events []poller.Event) {
	stale := false
	for i := range events {
		ev := &events[i]
		if s := &l.slots[ev.FD]; s.kernel == 0 || s.gen != ev.Gen {
			stale = true
			l.stats.Stale++
			continue
		}
		l.stats.Events++
		for w := l.slots[ev.FD].first; w != nil; w = l.cursor {
			l.cursor = w.next
			if ready := w.interest & ev.Ready; ready != 0 {
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
	batch := l.deferred
	l.deferred = l.spare[:0]
	for i, s := range batch {
		batch[i] = nil
		s.runDeferred()
	}
	l.spare = batch[:0]
}

// flush writes what streams have queued. A stream flushed here may be queued
// again only by a later step, so this ends.
func (l *Loop) flush() {
	for i := 0; i < len(l.dirty); i++ {
		s := l.dirty[i]
		l.dirty[i] = nil
		s.dirty = false
		s.flush()
	}
	l.dirty = l.dirty[:0]
}
