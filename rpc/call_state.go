package rpc

import (
	"context"
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// callState is what has happened to an open call, and who wants to hear of it. Most calls have none.
type callState struct {
	loop     *reactor.Loop
	ctx      *callContext // nil until asked for
	timer    *reactor.Timer
	onCancel func(err error)
	onRoom   func()
	why      error // ErrCanceled, ErrDeadline, or that the child is gone, once it is so
	deadline time.Time
}

// givenUp is what OnCancel is told, if nobody waits for the answer to an open call any more. A deadline that nobody has asked to be
// told of has no timer.
func (s *openCall) givenUp() error {
	switch {
	case s.state != nil && s.state.why != nil:
		return s.state.why
	case isPast(s.deadline):
		return ErrDeadline
	}
	return nil
}

// happened ends the ctx and calls back, once. Whoever waits for room is told, too: Part says why
// there will be none.
func (c *callState) happened(why error) {
	if c.why != nil {
		return
	}
	c.why = why
	if c.ctx != nil {
		c.ctx.end()
	}
	c.stopTimer()
	callback.InTurn(c.tellCancel, c.tellRoom)
}

// tellCancel calls OnCancel's function, if there still is one.
func (c *callState) tellCancel() {
	if fn := c.onCancel; fn != nil {
		c.onCancel = nil
		fn(c.why)
	}
}

// tellRoom calls OnRoom's function, if there still is one.
func (c *callState) tellRoom() {
	if fn := c.onRoom; fn != nil {
		c.onRoom = nil
		fn()
	}
}

// end is the end of the call, by its answer or with the server.
func (c *callState) end() {
	c.onCancel, c.onRoom = nil, nil
	c.stopTimer()
	if c.ctx != nil {
		c.ctx.end()
	}
}

func (c *callState) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// state returns the state of an open call; nil if it has been answered.
func (d Done) state() *callState {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return nil
	}
	return d.open.stateOf(s)
}

// Context returns a context that ends when the caller cancels the call, at its
// deadline, when it has been answered, and with the server. It belongs to
// the loop's goroutine like the other methods; the context may be used anywhere.
func (d Done) Context() context.Context {
	c := d.state()
	if c == nil {
		ended := &callContext{parent: context.Background()}
		ended.end()
		return ended
	}
	if c.ctx == nil {
		c.ctx = &callContext{parent: context.Background(), deadline: c.deadline}
		if c.why != nil && c.why != ErrDeadline {
			c.ctx.end()
		}
	}
	return c.ctx
}

// deadlineContext is Context for a call that has a deadline, and one without an end
// for others, which costs nothing.
func (d Done) deadlineContext() context.Context {
	if s := &d.open.slots[d.slot]; s.gen != d.gen || s.deadline.IsZero() && s.state == nil {
		return context.Background()
	}
	return d.Context()
}

// OnCancel has fn called on the loop when nobody waits for the answer any more: with ErrCanceled
// when the caller has cancelled the call, with ErrDeadline at its deadline, and with a *LostError
// when the other side is gone, or the server has ended. It is called once, and not after the
// call has been answered. A second OnCancel replaces the first; nil removes it.
//
// The call has still to be answered, which costs nothing: the answer is dropped.
func (d Done) OnCancel(fn func(err error)) {
	c := d.state()
	if c == nil {
		return
	}
	c.onCancel = fn
	switch {
	case fn == nil:
	case c.why != nil: // it has happened already: fn is called all the same, but not here
		c.later()
	default:
		c.watchDeadline()
	}
}

// watchDeadline has the deadline happen, if there is one: who is called back wants to know.
func (c *callState) watchDeadline() {
	if c.why == nil && !c.deadline.IsZero() && c.timer == nil {
		c.timer = c.loop.AfterFunc(time.Until(c.deadline), func() { c.happened(ErrDeadline) })
	}
}

// later calls back in the next iteration, if it is still wanted then.
func (c *callState) later() {
	c.stopTimer()
	c.timer = c.loop.AfterFunc(0, func() {
		c.timer = nil
		c.tellCancel()
	})
}
