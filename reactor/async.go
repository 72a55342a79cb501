package reactor

import (
	"fmt"
	"sync/atomic"
)

// An Async calls back on the loop after another goroutine has called Send. Any
// number of Sends before the callback are one: it says that something has
// happened, and what that was is looked up elsewhere. Unlike Post it holds no
// memory per Send. All methods belong to the loop's goroutine, except Send and
// Pending.
type Async struct {
	watcher
	fn     func()
	arrive func()      // what is posted
	sent   atomic.Bool // by Send, until the callback begins
}

// asyncSet holds those that are active.
type asyncSet map[*Async]struct{}

// NewAsync returns an active Async. It keeps Run from returning unless it is
// unreferenced. On a closed loop it is stopped.
func (l *Loop) NewAsync(fn func()) *Async {
	a := &Async{watcher: newWatcher(l), fn: fn}
	a.arrive = a.arrived
	a.Start()
	return a
}

// Start starts a stopped Async. It does nothing to an active one, nor on a
// closed loop.
func (a *Async) Start() {
	l := a.loop
	if a.active || l.closing {
		return
	}
	if l.asyncs == nil {
		l.asyncs = make(asyncSet)
	}
	l.asyncs[a] = struct{}{}
	a.setActive(true)
}

// Stop stops the Async: its function is not called until it is started again,
// whatever is sent meanwhile. If it is started again at once it may be called for
// a Send from before.
func (a *Async) Stop() {
	if !a.active {
		return
	}
	if a.watcher.Pending() {
		a.loop.unpend(&a.watcher)
		a.sent.Store(false)
	}
	delete(a.loop.asyncs, a)
	a.setActive(false)
}

// Send has the function called once, in this iteration or the next. What the
// sender did before Send, the function sees. Sends that come before the call has
// begun are joined with it; they neither lock nor allocate. The others cost a
// Post: a system call only if the loop sleeps. Sent to a stopped Async it has no
// effect. After the loop has ended it returns ErrClosed. Goroutine-safe.
func (a *Async) Send() error {
	if a.sent.Load() || a.sent.Swap(true) {
		select {
		case <-a.loop.done: // what was sent before may not have been taken
			return ErrClosed
		default:
			return nil
		}
	}
	err := a.loop.Post(a.arrive)
	if err != nil {
		a.sent.Store(false)
	}
	return err
}

// Pending reports whether something was sent and the callback has not begun. SetPriority
// is possible until what was sent has come to the loop, so that it does not depend on when another goroutine sends. Goroutine-safe.
func (a *Async) Pending() bool { return a.sent.Load() }

// arrived is the posted half of Send.
func (a *Async) arrived() {
	a.loop.ownPost()
	if !a.active {
		a.sent.Store(false)
		return
	}
	a.loop.pendLate(&a.watcher, a)
}

// invoke clears sent first: what is sent from now on wants another call.
func (a *Async) invoke(Ready) {
	a.sent.Store(false)
	a.fn()
}

func (a *Async) describe() (string, int) { return "async", -1 }

func (l *Loop) verifyAsyncs(refs *int) error {
	for a := range l.asyncs {
		switch {
		case !a.active:
			return fmt.Errorf("reactor: a stopped async is listed")
		case a.watcher.Pending() && !a.sent.Load():
			return fmt.Errorf("reactor: an async is pending without having been sent to")
		}
		if !a.unref {
			*refs++
		}
	}
	return nil
}

// releaseAsyncs stops what is left when the loop is released.
func (l *Loop) releaseAsyncs() {
	for a := range l.asyncs {
		a.Stop()
	}
}
