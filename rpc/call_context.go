package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// callContext is the ctx of one call, which ends at its deadline, when the call is
// cancelled, when it has been answered, and with the server. Most handlers
// never look at it, so one of package context's is made only for those that do.
type callContext struct {
	parent   context.Context
	deadline time.Time // zero: none

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	ended  bool

	touched atomic.Bool // somebody has looked at it: there is something to end, and to renew
}

// made returns the real ctx.
func (c *callContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touched.Store(true)
	if c.ctx == nil {
		if c.deadline.IsZero() {
			c.ctx, c.cancel = context.WithCancel(c.parent)
		} else {
			c.ctx, c.cancel = context.WithDeadline(c.parent, c.deadline)
		}
		if c.ended {
			c.cancel()
		}
	}
	return c.ctx
}

// end ends the ctx.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touched.Store(true)
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

// finish is end, if anybody has looked.
func (c *callContext) finish() {
	if c.touched.Load() {
		c.end()
	}
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.parent.Deadline()
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *callContext) Done() <-chan struct{} { return c.made().Done() }

// Err implements context.Context.
func (c *callContext) Err() error {
	if c.goesOn() {
		return nil
	}
	return c.made().Err()
}

// goesOn reports whether nobody waits for the end of the ctx and it has not ended either.
func (c *callContext) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touched.Store(true)
	return c.ctx == nil && !c.ended && c.parent.Err() == nil && !isPast(c.deadline)
}

// renew makes the ctx, which has ended, that of the next call of a server that handles one at a
// time. It returns false if others may have been derived from it: these may look at it for ever,
// like one whose timer has just fired.
func (c *callContext) renew(deadline time.Time) bool {
	if !c.touched.Load() {
		c.deadline = deadline
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		return false
	}
	c.ended, c.deadline = false, deadline
	c.touched.Store(false)
	return true
}

// Value implements context.Context. It asks the real one, so that contexts derived
// from this one need no goroutine.
func (c *callContext) Value(key any) any { return c.made().Value(key) }
