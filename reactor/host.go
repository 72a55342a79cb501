package reactor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A Hosting is a loop that runs inside another one. All methods belong to the
// goroutine of the outer loop, which is the inner one's, too.
type Hosting struct {
	outer, inner *Loop
	done         func(err error)
	ready        FDWatcher // of a duplicate of inner's descriptor
	timer        *Timer    // of outer, for inner's first timer or its end
	due          int64     // what timer was set for, in inner's time
}

// Host runs inner inside this loop: whenever inner has something to do, one
// iteration of it is one callback of this loop. It begins in the next iteration.
// What would make inner.Run return ends it, and done is called with what Run would
// have returned: nil after inner.Stop or when nothing is left in inner, ErrClosed
// if it has been closed, else the error. A done of nil is not called.
//
// Priorities order callbacks within each loop only. Idle hooks of inner keep both
// loops from blocking. A panic of inner's callbacks fails inner, unless inner has an
// OnPanic, and is then one of this loop's callback. Prepare hooks of inner are called when it is polled, not
// before each wait of this loop.
//
// A loop can be hosted by one other, and must not be run elsewhere meanwhile. If
// this loop is closed first, done is not called, and inner can still be run.
//
// If inner has no FD, the error is ErrUnsupported; if this loop runs inside inner,
// ErrInvalid. Linux limits how deep epoll sets may be nested: three loops fit into
// each other, if the outermost is run by Run; beyond that the error is ELOOP.
func (l *Loop) Host(inner *Loop, done func(err error)) (*Hosting, error) {
	switch {
	case l.closing || inner.closing:
		return nil, ErrClosed
	case l == inner || inner.hosts(l):
		return nil, ErrInvalid
	}
	fd, err := inner.dupFD()
	if err != nil {
		return nil, err
	}
	h := &Hosting{outer: l, inner: inner, done: done}
	h.ready.init(l, fd, Read, func(Ready) { h.turn() })
	if err := h.ready.Start(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	h.timer = l.AfterFunc(0, h.turn)
	h.timer.Unref()
	l.hosted = append(l.hosted, h)
	return h, nil
}

// hosts reports whether other runs inside l, however deep.
func (l *Loop) hosts(other *Loop) bool {
	return slices.ContainsFunc(l.hosted, func(h *Hosting) bool {
		return h.inner == other || h.inner.hosts(other)
	})
}

// Active reports whether inner is still being run.
func (h *Hosting) Active() bool { return h.ready.active }

// Ref undoes Unref.
func (h *Hosting) Ref() { h.ready.Ref() }

// Unref makes the hosting work on without keeping the outer loop's Run from
// returning. Until then it does, as long as inner's Run would not return.
func (h *Hosting) Unref() { h.ready.Unref() }

// Stop ends the hosting without a call of done. The inner loop can be run in
// another way, or be hosted again.
func (h *Hosting) Stop() {
	if h.ready.fd < 0 {
		return // also if the outer loop was closed
	}
	h.ready.Stop()
	closeFD(&h.ready.fd, -1)
	h.timer.Stop()
	i := slices.Index(h.outer.hosted, h)
	h.outer.hosted = slices.Delete(h.outer.hosted, i, i+1)
}

// releaseHosted stops what is left when the loop is released.
func (l *Loop) releaseHosted() {
	for len(l.hosted) > 0 {
		l.hosted[0].Stop()
	}
}

// turn is Run's step between two iterations, and an iteration.
func (h *Hosting) turn() {
	in := h.inner
	switch {
	case in.closed:
		h.end(ErrClosed)
		return
	case in.stopped.Swap(false) || !in.alive():
		h.end(nil)
		return
	}
	if err := in.Poll(0); err != nil {
		h.end(err)
		return
	}
	h.outer.woken += in.woken // it is the outer loop that is going to block
	in.woken = 0
}

func (h *Hosting) end(err error) {
	h.Stop()
	if h.done != nil {
		h.done(err)
	}
}

// arm sets the timer, before each wait of the outer loop, because a callback of
// the outer loop may have changed what the inner one waits for. Work that is
// pending in inner needs no timer: it makes the descriptor readable.
func (h *Hosting) arm() {
	in := h.inner
	in.armHosted()
	due := int64(0) // the end: at once
	if !in.closed && !in.stopped.Load() && in.alive() {
		if in.timers.empty() {
			h.timer.Stop()
			return
		}
		due = in.timers.first()
	}
	if due != h.due || !h.timer.active {
		h.due = due
		h.timer.Reset(time.Duration(due - in.clock()))
	}
}

// rearmHosted has the timers set anew: this loop's time stood still, and that of
// the loops hosted in it went on.
func (l *Loop) rearmHosted() {
	for _, h := range l.hosted {
		h.timer.Stop()
	}
}

// armHosted sets the timers that are for the loops hosted in this one. It comes after all that is called before the
// wait, which may start timers of those loops, or stop them: prepare hooks, and OnWriteError.
func (l *Loop) armHosted() {
	for _, h := range l.hosted {
		h.arm()
	}
}
