package reactor

import (
	"context"
	"time"
)

// Run runs the loop until Stop is called (it returns nil), ctx is done (it
// returns ctx.Err()) or no referenced watcher, stream with pending work, queued
// post or Hold is left (nil). It may be called again after it returned.
//
// With GOMAXPROCS=1, in a process with no other goroutine, it keeps the processor for up to 8 ms at a time while it waits. Timers of
// package time are late by that, and those of the loop are not.
//
// If a callback panics or calls runtime.Goexit, the loop has failed: its streams
// end with ErrClosed while the panic goes on, Done is closed, and every later
// call returns ErrClosed. Close is still needed to release its descriptors. Of several
// callbacks that panic, those of the ending among them, one panic goes on, with an error that tells of all.
func (l *Loop) Run(ctx context.Context) error {
	return l.run(ctx, func() bool { return false }, nil)
}

// RunUntil runs the loop until cond, which is asked before every iteration, is
// true. It returns nil then, and after Stop; ctx.Err() if ctx is done first; and
// ErrNothingLeft if nothing is left that could make cond true.
func (l *Loop) RunUntil(ctx context.Context, cond func() bool) error {
	return l.run(ctx, cond, ErrNothingLeft)
}

func (l *Loop) run(ctx context.Context, cond func() bool, idle error) error {
	return l.within(func() error { return l.iterateUntil(ctx, cond, idle) })
}

func (l *Loop) iterateUntil(ctx context.Context, cond func() bool, idle error) error {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, l.interrupt)()
	}
	waiting := l.alive
	for {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case l.stopped.Load() && l.stopped.Swap(false): // an exchange in every iteration would cost more
			return nil
		case cond():
			return nil
		case !l.alive():
			return idle
		}
		if err := l.iterate(forever, waiting); err != nil {
			return err
		}
	}
}

// Poll runs one iteration, waiting at most timeout for something to do: 0 does
// not wait, a negative timeout waits as long as it takes.
func (l *Loop) Poll(timeout time.Duration) error {
	return l.within(func() error { return l.iterate(timeout, nil) })
}

// Stop makes Run return at the end of the current iteration; a Stop before Run
// ends the next Run at once. Goroutine-safe.
func (l *Loop) Stop() {
	l.stopped.Store(true)
	l.interrupt()
}

// interrupt makes a blocked loop look at its state again. Goroutine-safe, and
// harmless after Close, which takes the poller away.
func (l *Loop) interrupt() {
	l.posts.mu.Lock()
	defer l.posts.mu.Unlock()
	if !l.posts.closed {
		l.posts.wakeLocked(l.poller)
	}
}

// FD returns a descriptor that is readable while Poll(0) has something to do,
// so that another library's loop can host this one: when FD is readable or
// NextDeadline has come, call Poll(0). Ask for NextDeadline before each wait. The
// descriptor stays the loop's. On the backend "poll" there is none: the error is an
// ErrUnsupported. See Host for another Loop, and RunParked for Go's netpoller.
func (l *Loop) FD() (int, error) {
	if l.closed {
		return -1, ErrClosed
	}
	fd, err := l.poller.FD()
	return fd, opError("pollable descriptor", -1, err)
}

// NextDeadline is when Poll(0) next has something to do even if FD stays quiet:
// now, if bytes, posts or callbacks are pending or an idle hook is active; else
// the first timer; else ok is false.
func (l *Loop) NextDeadline() (at time.Time, ok bool) {
	l.armHosted()
	switch d := l.timeout(forever); {
	case d == 0:
		return l.at(l.clock()), true
	case d < 0:
		return time.Time{}, false
	default:
		return l.at(l.timers.first()), true
	}
}

// within makes the calling goroutine the loop's for the duration of body, and
// sees to it that a panic or Goexit in a callback leaves no caller waiting.
func (l *Loop) within(body func() error) error {
	if !l.running.CompareAndSwap(false, true) {
		return ErrNested
	}
	defer l.rest()
	returned := false
	defer func() {
		if !returned {
			l.fail() // may panic again: rest is deferred on its own
		}
	}()
	if l.closed {
		returned = true
		return ErrClosed
	}
	l.posts.wanted.Store(false)
	err := body()
	returned = true
	return err
}

// rest ends a run: the loop counts as about to block from now on, and what is
// still to be done makes FD readable for a host.
func (l *Loop) rest() {
	l.endTurn()
	l.running.Store(false)
	q := &l.posts
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.wanted.Store(true)
	if l.mustNotBlock() {
		q.signalLocked(l.poller) // also if pending: wanted is new
	}
}

// alive reports whether Run has anything to wait for.
func (l *Loop) alive() bool {
	return l.refs > 0 || l.holds.Load() > 0 || l.pendingWork()
}

// pendingWork reports whether the next iteration has something to do that the
// poller does not know of.
func (l *Loop) pendingWork() bool {
	return len(l.dirty) > 0 || len(l.deferred) > 0 || len(l.pending.fed) > 0 || l.posts.any()
}

// mustNotBlock reports whether the next iteration has something to do whatever
// the poller says.
func (l *Loop) mustNotBlock() bool { return l.pendingWork() || len(l.hooks.idle) > 0 }
