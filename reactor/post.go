package reactor

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/evfork/evfork/internal/poller"
)

// postsPerIteration bounds how long posted functions can keep descriptors and
// timers waiting. What exceeds it runs in the next iteration, which does not block.
const postsPerIteration = 1024

// keepPosts is how many posts' room is kept when they have run. Room for more is
// given back, or one burst would hold it for as long as the loop lives.
const keepPosts = 16 << 10

// postQueue carries functions from any goroutine to the loop. The wake-up is
// libev's protocol of two flags: a producer sets pending and then reads wanted;
// the loop sets wanted and then reads pending. Whichever comes second sees the
// other, so the loop is woken if it blocks, and no syscall is made if it does not.
type postQueue struct {
	mu      sync.Mutex
	queued  []func()
	closed  bool
	wakes   uint64
	pending atomic.Bool // look at queued, or at Stop, Hold and contexts
	wanted  atomic.Bool // the loop blocks, or is about to, or is not running

	batch []func() // the loop's own: being run
	next  int      // batch[next:] is still to run
	end   int      // batch[next:end] in this turn; 0 between turns
	users int      // how many of this turn are not the loop's own; see ownPost
}

// Post queues fn to run on the loop, after the functions posted earlier by the
// same goroutine. It never blocks and never runs fn itself. After the loop has
// ended it returns ErrClosed and fn does not run. Goroutine-safe.
func (l *Loop) Post(fn func()) error {
	q := &l.posts
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.queued = append(q.queued, fn)
	q.wakeLocked(l.poller)
	return nil
}

// Do posts fn and waits until it has run. If ctx is done before fn has begun,
// fn does not run and Do returns ctx.Err(). Called on the loop's own goroutine
// it would wait for itself. Goroutine-safe.
func (l *Loop) Do(ctx context.Context, fn func()) error {
	var begun atomic.Bool // by fn, or by us when we give up
	ran := make(chan struct{})
	err := l.Post(func() {
		if begun.CompareAndSwap(false, true) {
			defer close(ran)
			l.Yielding()
			fn()
		}
	})
	if err != nil {
		return err
	}
	err = ErrClosed
	select {
	case <-ran:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.done:
	}
	if begun.CompareAndSwap(false, true) {
		return err
	}
	<-ran
	return nil
}

// Hold keeps Run from returning for want of anything to do, until release is
// called; calling it twice is harmless. Goroutine-safe, as is release.
func (l *Loop) Hold() (release func()) {
	l.holds.Add(1)
	var once sync.Once
	return func() {
		once.Do(func() {
			l.holds.Add(-1)
			l.interrupt()
		})
	}
}

// wakeLocked makes the loop run another iteration without blocking, with at most
// one syscall per sleep of the loop. Where pending is set already there is nothing
// to do: whoever set it has woken the loop, and only take clears it, under this
// lock. That spares a burst of posts two locked instructions each.
func (q *postQueue) wakeLocked(p poller.Poller) {
	if !q.pending.Load() {
		q.signalLocked(p)
	}
}

// signalLocked holds the lock over the syscall, so that Close cannot close the
// waker, whose number may be reused, under a producer that is about to write to it.
func (q *postQueue) signalLocked(p poller.Poller) {
	q.pending.Store(true)
	if q.wanted.CompareAndSwap(true, false) {
		q.wakes++
		// The waker is ours, never full and never closed here: no error is possible.
		_ = p.Wake()
	}
}

// any reports whether runPosts has something to do.
func (q *postQueue) any() bool { return q.next < len(q.batch) || q.pending.Load() }

// take swaps the queues when the batch has been run.
func (q *postQueue) take() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending.Store(false)
	q.batch, q.queued = q.queued, q.batch[:0]
	q.next = 0
}

// shut refuses further posts.
func (q *postQueue) shut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// runPosts runs a bounded part of what was posted before this iteration's turn;
// posts made meanwhile wait for the next one.
func (l *Loop) runPosts() {
	q := &l.posts
	if q.end == 0 { // else one has panicked, and the turn goes on
		if q.next == len(q.batch) {
			if !q.pending.Load() {
				return
			}
			q.take()
		}
		q.end = min(len(q.batch), q.next+postsPerIteration)
		q.users = q.end - q.next
	}
	for q.next < q.end {
		fn := q.batch[q.next]
		q.batch[q.next] = nil
		q.next++
		l.stats.Posts++
		l.observe(posted{}, fn)
	}
	q.end = 0
	if q.users > 0 {
		l.pending.first = min(l.pending.first, normalLevel)
	}
	if q.next == len(q.batch) && cap(q.batch) > keepPosts {
		q.batch, q.next = nil, 0
	}
}

// ownPost is called by a posted function that is the loop's own, and only makes watchers pending: what has happened is
// of their priority, or nothing.
func (l *Loop) ownPost() { l.posts.users-- }
