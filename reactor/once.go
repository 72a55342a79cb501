package reactor

import (
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// A Once is a descriptor and a timeout of which the first to come calls back,
// once. All methods belong to the loop's goroutine.
type Once struct {
	fd      FDWatcher
	timer   Timer
	timeout time.Duration
	fn      func(Ready)
}

// Once calls fn once, when fd is ready or timeout has passed. fn gets the
// conditions that are both asked for and reported; none, if it was the timeout.
// If both happen in the same iteration, or the descriptor has become ready before the
// timeout is noticed, fn gets the conditions, however much else is ready.
//
// The descriptor stays the caller's: call Stop before closing it. A negative fd
// means the timeout alone, whatever the interest, and a negative timeout the
// descriptor alone; both negative is ErrInvalid. Other errors are those of
// WatchFD. By the time fn runs, nothing is watched any more.
func (l *Loop) Once(fd int, interest Ready, timeout time.Duration, fn func(ready Ready)) (*Once, error) {
	if fd < 0 && timeout < 0 {
		return nil, ErrInvalid
	}
	o := &Once{timeout: timeout, fn: fn}
	o.fd.init(l, fd, interest, o.finish)
	o.timer = Timer{watcher: newWatcher(l), fn: o.expired, index: -1}
	if fd >= 0 {
		o.timer.Unref() // one reference is enough
	}
	if err := o.Start(); err != nil {
		return nil, err
	}
	return o, nil
}

// Start watches once more, after the callback or Stop, with the same timeout. It
// does nothing to an active one. Errors are those of Loop.Once.
func (o *Once) Start() error {
	l := o.fd.loop
	if o.Active() {
		return nil
	}
	if l.closing {
		return ErrClosed
	}
	if o.fd.fd >= 0 {
		if err := o.fd.Start(); err != nil {
			return err
		}
	}
	if o.timeout >= 0 {
		o.timer.Reset(o.timeout)
	}
	return nil
}

// Active reports whether the callback is still to come.
func (o *Once) Active() bool { return o.fd.active || o.timer.active }

// Pending reports whether readiness or the timeout has come and the callback has
// not. Stopping the watcher now prevents the call.
func (o *Once) Pending() bool { return o.fd.Pending() || o.timer.Pending() }

// Stop prevents the callback. The error, if any, is the kernel's; see
// FDWatcher.Stop.
func (o *Once) Stop() error {
	o.timer.Stop()
	return o.fd.Stop()
}

// Ref undoes Unref.
func (o *Once) Ref() { o.counted().Ref() }

// Unref makes the watcher work on without keeping Run from returning.
func (o *Once) Unref() { o.counted().Unref() }

// Priority returns what SetPriority has set; 0 at first.
func (o *Once) Priority() int { return o.fd.Priority() }

// SetPriority orders the callback within an iteration, as that of other watchers
// is. It returns ErrInvalid and ErrPending like theirs.
func (o *Once) SetPriority(priority int) error {
	if o.Pending() {
		return ErrPending
	}
	if err := o.fd.SetPriority(priority); err != nil {
		return err
	}
	return o.timer.SetPriority(priority)
}

// Feed has the callback made in the next iteration as if the kernel had reported
// ready, of which it gets what is asked for; none of that is the timeout. It
// returns ErrNotActive if the watcher is stopped, or has no timeout to be fed.
func (o *Once) Feed(ready Ready) error {
	if ready &= o.fd.interest; o.fd.active && ready != 0 {
		return o.fd.Feed(ready)
	}
	return o.timer.Feed()
}

// counted is the half that counts as a reference.
func (o *Once) counted() *watcher {
	if o.fd.fd >= 0 {
		return &o.fd.watcher
	}
	return &o.timer.watcher
}

// expired asks for readiness that was found together with the timeout, or has not been reported
// yet: the poller reports a part of what is ready if that is much. To a poller that was injected the
// descriptor may be a number.
func (o *Once) expired() {
	var ready Ready
	l := o.fd.loop
	switch e := l.pendingOf(&o.fd.watcher); {
	case e != nil:
		ready = e.ready & o.fd.interest
	case o.fd.active && l.config.Poller == nil:
		ready = poller.Look(o.fd.FD(), o.fd.interest)
	}
	o.finish(ready)
}

func (o *Once) finish(ready Ready) {
	// EBADF says that the caller closed the descriptor too early, which a callback
	// that is made anyway has no use for.
	_ = o.Stop()
	o.fn(ready)
}
