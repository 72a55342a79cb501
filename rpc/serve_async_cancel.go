package rpc

import (
	"cmp"
	"context"
	"time"

	"github.com/evfork/evfork/reactor"
)

// notify is what is known of an open call besides its id: a deadline, that it was
// cancelled, and who wants to hear of it. Most calls have none.
type notify struct {
	loop     *reactor.Loop
	ctx      *callContext // nil until asked for
	timer    *reactor.Timer
	onCancel func(err error)
	onRoom   func()
	why      error // ErrCanceled, ErrDeadline, or that the child is gone, once it is so
	deadline time.Time
}

// dropped answers a call with a deadline that nobody waits for any more, without beginning
// it. Else it notes the deadline.
func (a *asyncServer) dropped(d Done, call *incoming) bool {
	if call.late() {
		d.Fail(ErrDeadline)
		return true
	}
	d.open.slots[d.slot].notify = &notify{loop: d.open.loop, deadline: call.deadline}
	return false
}

// cancelCall tells an open call that nobody waits for it.
func (a *asyncServer) cancelCall(id uint32) {
	if a.open.find(id) == nil {
		a.cancelHeld(id) // or it has been answered
		return
	}
	a.open.cancel(id)
}

func (o *openCalls) cancel(id uint32) {
	s := o.find(id)
	if s == nil {
		return // it has been answered
	}
	if s.notify == nil {
		s.notify = &notify{loop: o.loop}
	}
	s.notify.happened(ErrCanceled)
}

// happened ends the ctx and calls back, once. Whoever waits for room is told, too: Part says why
// there will be none.
func (n *notify) happened(why error) {
	if n.why != nil {
		return
	}
	n.why = why
	if n.ctx != nil {
		n.ctx.end()
	}
	n.stopTimer()
	defer n.tellRoom() // also if the other callback panics
	if fn := n.onCancel; fn != nil {
		n.onCancel = nil
		fn(why)
	}
}

// tellRoom calls OnRoom's function, if there still is one.
func (n *notify) tellRoom() {
	if fn := n.onRoom; fn != nil {
		n.onRoom = nil
		fn()
	}
}

// end is the end of the call, by its answer or with the server.
func (n *notify) end() {
	n.onCancel, n.onRoom = nil, nil
	n.stopTimer()
	if n.ctx != nil {
		n.ctx.end()
	}
}

func (n *notify) stopTimer() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
}

// notify returns the notify of an open call; nil if it has been answered.
func (d Done) notify() *notify {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return nil
	}
	if s.notify == nil {
		s.notify = &notify{loop: d.open.loop}
	}
	return s.notify
}

// Context returns a context that ends when the caller cancels the call, at its
// deadline, when it has been answered, and with the server. It belongs to
// the loop's goroutine like the other methods; the context may be used anywhere.
func (d Done) Context() context.Context {
	n := d.notify()
	if n == nil {
		ended := &callContext{parent: context.Background()}
		ended.end()
		return ended
	}
	if n.ctx == nil {
		n.ctx = &callContext{parent: context.Background(), deadline: n.deadline}
		if n.why != nil && n.why != ErrDeadline {
			n.ctx.end()
		}
	}
	return n.ctx
}

// deadlineContext is Context for a call that has a deadline, and one without an end
// for others, which costs nothing.
func (d Done) deadlineContext() context.Context {
	if s := &d.open.slots[d.slot]; s.gen != d.gen || s.notify == nil {
		return context.Background()
	}
	return d.Context()
}

// OnCancel has fn called on the loop when the caller cancels the call, with
// ErrCanceled, or at its deadline, with ErrDeadline, or when the other side is gone, or the
// server has ended, with a *LostError; once, and not after the call has been
// answered. The call has still to be answered, which costs nothing: the answer is
// dropped. A second OnCancel replaces the first; nil removes it.
func (d Done) OnCancel(fn func(err error)) {
	n := d.notify()
	if n == nil {
		return
	}
	n.onCancel = fn
	switch {
	case fn == nil:
	case n.why != nil: // it has happened already: fn is called all the same, but not here
		n.later()
	default:
		n.watchDeadline()
	}
}

// watchDeadline has the deadline happen, if there is one: who is called back wants to know.
func (n *notify) watchDeadline() {
	if n.why == nil && !n.deadline.IsZero() && n.timer == nil {
		n.timer = n.loop.AfterFunc(time.Until(n.deadline), func() { n.happened(ErrDeadline) })
	}
}

// later calls back in the next iteration, if it is still wanted then.
func (n *notify) later() {
	n.stopTimer()
	n.timer = n.loop.AfterFunc(0, func() {
		n.timer = nil
		if fn := n.onCancel; fn != nil {
			n.onCancel = nil
			fn(n.why)
		}
	})
}

// endCalls tells those who wait, for the parent or for a cancel, that the server has ended, and why if
// that is not its own error.
func (a *asyncServer) endCalls(why error) {
	why = cmp.Or(a.err, why, errInputEnded)
	defer a.open.endAll()
	defer a.open.endFrom(0, &LostError{Cause: why, Started: true})
	a.endUpcalls(why)
}
