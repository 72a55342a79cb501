package reactor

import (
	"cmp"
	"context"
	"time"

	"github.com/evfork/evfork/internal/callback"
)

const (
	// closeWait bounds how long Close waits for killed children to be reaped. A
	// process in uninterruptible sleep must not hang its parent; one that waits for a
	// processor, where many want one, is to be waited for.
	closeWait = 10 * time.Second
	// closeSlice is the longest of the waits of which that consists. Of each no more
	// than this counts: if this process, or the machine, was stopped meanwhile, the
	// children have had no time either.
	closeSlice = 100 * time.Millisecond
)

// Close ends the loop now: children are killed and reaped (waiting at most ten seconds, and as long
// again if some have not exited by then), cleanup hooks are called, every stream's OnClose gets ErrClosed, posts that were accepted run,
// and all descriptors of the loop and of its streams are closed. Bytes that were
// not written are lost; see Shutdown. Closing twice is harmless. Inside a
// callback it returns ErrNested: call Stop there, and Close after Run.
func (l *Loop) Close() error {
	err := l.within(func() error {
		l.ending = true
		for _, r := range l.order {
			r.Close()
		}
		_ = l.pump(context.Background(), closeWait, l.activeResidents) // if it fails, Release waits for the children
		l.end()
		return nil
	})
	if err == nil || err == ErrClosed { // it had ended before, perhaps without Close
		err = l.release()
	}
	return err
}

// Shutdown ends the loop gracefully: children finish what they have been asked,
// within the limits of their ladders, streams write what is queued, and then the
// loop is closed. It runs the loop itself meanwhile. If ctx is done first (a
// stream's other side may never read) it closes the loop at once and returns
// ctx.Err(), and so it does with the error if the wait fails. Inside a callback it returns ErrNested.
func (l *Loop) Shutdown(ctx context.Context) error {
	err := l.within(func() error {
		l.ending = true
		for _, r := range l.order {
			r.Shutdown()
		}
		err := l.pump(ctx, forever, func() bool { return l.activeResidents() || l.unwritten() })
		return cmp.Or(err, ctx.Err())
	})
	if err == ErrNested {
		return err
	}
	if closeErr := l.Close(); err == nil {
		err = closeErr
	}
	return err
}

// unwritten reports whether a stream has bytes queued, or lingers.
func (l *Loop) unwritten() bool {
	for s := l.streams.first; s != nil; s = s.next {
		if s.Buffered() > 0 || s.lingering() {
			return true
		}
	}
	return false
}

// pump iterates while there is something to wait for. Of a loop that is suspended the time
// goes on: it is waited for by that, and ladders are climbed.
func (l *Loop) pump(ctx context.Context, atMost time.Duration, waiting func() bool) error {
	l.Resume()
	defer context.AfterFunc(ctx, l.interrupt)()
	for left := atMost; waiting() && ctx.Err() == nil; {
		limit := forever
		if atMost >= 0 {
			limit = min(left, closeSlice)
		}
		if limit == 0 {
			break
		}
		start := l.clock()
		if err := l.iterate(limit, waiting); err != nil {
			return err
		}
		left -= min(time.Duration(l.clock()-start), limit)
	}
	return nil
}

// end makes every callback that is still owed, and refuses anything new.
func (l *Loop) end() {
	l.closing = true
	l.guarded((*Loop).runCleanup)
	for s := l.streams.first; s != nil; s = l.streams.first {
		s.fail(ErrClosed)
	}
	l.guarded((*Loop).runDeferred)
	l.posts.shut()
	for l.posts.any() {
		l.guarded((*Loop).runPosts)
		l.guarded((*Loop).runDeferred)
	}
	l.closed = true
	close(l.done)
}

// fail ends a loop whose Run was left by a panic or Goexit, which goes on when
// fail returns. Another panic in a callback of the ending is not caught, but everybody
// else is told all the same, and those who wait for Done are let go.
func (l *Loop) fail() {
	l.closing = true
	l.posts.shut()
	if l.closed {
		return
	}
	l.closed = true
	defer close(l.done)
	callback.InTurn(
		func() { callback.ToTheEnd(l.runCleanup) },
		func() { callback.ToTheEnd(l.failStreams) },
	)
}

func (l *Loop) failStreams() {
	for s := l.streams.first; s != nil; s = l.streams.first {
		s.fail(ErrClosed)
	}
	l.runDeferred()
}

// release frees what belongs to the loop itself, once.
func (l *Loop) release() error {
	for _, r := range l.order {
		r.Release()
	}
	l.residents = residents{}
	if l.poller == nil {
		return nil
	}
	for s := l.streams.first; s != nil; s = l.streams.first {
		s.fail(ErrClosed) // its OnClose went with a panic amid the ending
	}
	l.releaseWalls()
	l.releaseSignals()
	l.releaseAsyncs()
	l.releasePaths()
	l.closeExits()
	l.releaseHosted()
	err := l.poller.Close()
	l.poller = nil
	l.dropPending()
	for !l.timers.empty() {
		l.timers.popAny().Stop()
	}
	for _, list := range []*[]*Hook{&l.hooks.prepare, &l.hooks.check, &l.hooks.idle, &l.hooks.cleanup} {
		for len(*list) > 0 {
			(*list)[0].Stop()
		}
	}
	for fd := range l.slots {
		for w := l.slots[fd].first; w != nil; w = w.next {
			w.setActive(false)
		}
	}
	l.slots, l.readBuf, l.dirty, l.deferred, l.chunks = nil, nil, nil, nil, chunkCache{}
	return opError("close poller", -1, err)
}
