package rpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// Cancel ends a call of GoWith with ErrCanceled: its Completion is called on the
// loop, after Cancel has returned. It reports whether the call was still in
// flight. On the Evfork wire the child is told: a call that it has not begun is
// dropped, the handler's ctx of one that it has begun ends. The call is
// abandoned: it counts as in flight until the child has answered it.
func (c *Client) Cancel(call CallID) bool {
	e := c.calls.find(call.id)
	if e == nil || e.end != call.end || e.isAbandoned() {
		return false
	}
	c.cancel(e)
	return true
}

// cancel ends a call that is in flight, after it has returned.
func (c *Client) cancel(e *call) {
	c.canceled = append(c.canceled, c.abandon(e))
	if len(c.canceled) == 1 && c.loop.Post(c.endCanceled) != nil {
		c.endCanceled() // no callback comes later: the loop is being closed
	}
}

// abandon ends a call for its caller, which it returns. The child is told, unless it does not know
// of the call yet: then it never will.
func (c *Client) abandon(e *call) Completion {
	if s, ok := e.to.(*streamedCall); ok && !s.started {
		return c.calls.take(e.id)
	}
	to := c.calls.abandon(e)
	c.sendCancel(e.id)
	c.startAbandonTimeout(e.id)
	return to
}

// endCanceled tells those whose calls were cancelled. Calls that are made and cancelled meanwhile are told of in
// the next iteration, as the loop has other things to do.
func (c *Client) endCanceled() {
	list := c.canceled
	c.canceled = nil
	callback.InTurn(
		func() { callback.All(&list, func(to Completion) { to.Complete(nil, ErrCanceled) }) },
		c.callsOver,
	)
}

// callsOver is called when calls have ended otherwise than by what has come from the child: those of
// which it did not know have left room.
func (c *Client) callsOver() {
	c.queue.serve()
	c.checkDone()
}

// abandonCall ends a call whose goroutine has gone.
func (c *Client) abandonCall(id uint32) {
	c.abandon(c.calls.entry(id))
}

// startAbandonTimeout limits the time that the child may take to answer an abandoned call.
func (c *Client) startAbandonTimeout(id uint32) {
	if c.config.AbandonTimeout > 0 {
		c.calls.schedule(id, c.timebase.at(c.now())+min(c.config.AbandonTimeout, distant))
		c.armTimer()
	}
}

// expireAt gives a call in the table its deadline. One that has passed is not before the next iteration: else who makes
// a call again that has ended by it, with the same, would have endDue go on for ever.
func (c *Client) expireAt(id uint32, due time.Duration) {
	c.calls.schedule(id, max(due, c.timebase.at(c.loop.Now())+1))
	c.armTimer()
}

// armTimer has expire called when the first call's time has come.
func (c *Client) armTimer() {
	first, any := c.calls.first()
	if !any || c.armed && c.armedFor <= first.at {
		return // if it comes too early, it is armed again
	}
	d := max(first.at-c.timebase.at(c.now()), 0)
	if c.timer == nil {
		c.timer = c.loop.AfterFunc(d, c.expire)
		c.timer.Unref() // the stream keeps the loop running
	} else {
		c.timer.Reset(d)
	}
	c.armed, c.armedFor = true, first.at
}

// expire is called when the first call's time has come.
func (c *Client) expire() {
	c.armed = false
	callback.InTurn(c.endDue, c.armTimer, c.callsOver)
}

// endDue ends the calls whose deadlines have passed.
func (c *Client) endDue() {
	now := c.timebase.at(c.loop.Now())
	for c.endErr == nil {
		first, any := c.calls.first()
		if !any || first.at > now {
			return
		}
		e := c.calls.entry(first.id)
		if e.isAbandoned() {
			c.calls.unschedule(e)
			c.suspect(e.id)
			continue
		}
		c.abandon(e).Complete(nil, ErrDeadline)
	}
}

// suspect has judge called for an abandoned call whose time is over, behind all that happens in the next iteration.
func (c *Client) suspect(id uint32) {
	c.overdue = append(c.overdue, id)
	if len(c.overdue) > 1 {
		return
	}
	timer := c.loop.AfterFunc(0, func() { callback.InTurn(c.readBeforeJudging, c.judge) })
	_ = timer.SetPriority(reactor.MinPriority) // a timer that was just made is not pending
	timer.Unref()
}

// readBeforeJudging takes what the child has written before the timeout is held against it. If the loop was busy, the answer,
// or the child's end, may have been there in time.
func (c *Client) readBeforeJudging() {
	if c.endErr == nil {
		c.stream.Drain()
	}
}

// judge puts a child down that has not answered an abandoned call. One whose output has ended is its transport's matter: the
// poller reports a part of what is ready if that is much, and its exit may be among the rest.
func (c *Client) judge() {
	overdue := c.overdue
	c.overdue = nil
	if fd, _ := c.stream.FDs(); fd < 0 {
		return
	}
	for _, id := range overdue {
		if e := c.calls.find(id); e != nil && e.isAbandoned() {
			c.violated(fmt.Errorf("%w (for %v)", ErrUnresponsive, c.config.AbandonTimeout))
		}
	}
}

// stopTimer ends the deadlines, with the client.
func (c *Client) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

// sendCancel tells the child that nobody waits for a call any more. If its hello has not come, or
// there is no room for that now, it is told later.
func (c *Client) sendCancel(id uint32) {
	switch {
	case !c.greeted:
	case !c.understands.cancel || c.control(kindCancel.word(id), nil) != ErrFull:
		return
	}
	c.untold = append(c.untold, id)
}

// tellCancels sends the cancels that were left for later.
func (c *Client) tellCancels() {
	for _, id := range c.takeUntold() {
		c.sendCancel(id)
	}
}

// takeUntold takes the list of calls whose cancel the child has to be told of; those that it has answered
// since are not in it.
func (c *Client) takeUntold() []uint32 {
	ids := c.untold
	c.untold = nil
	return slices.DeleteFunc(ids, func(id uint32) bool {
		e := c.calls.find(id)
		return e == nil || !e.isAbandoned()
	})
}

// endOf is how a call ends whose ctx has ended. Somebody's own ctx may have any error.
func endOf(ctx context.Context) error {
	err, plain := ErrCanceled, context.Canceled
	if ctx.Err() == context.DeadlineExceeded {
		err, plain = ErrDeadline, context.DeadlineExceeded
	}
	if cause := context.Cause(ctx); cause != nil && cause != plain {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// deadlineOf is a ctx's, for CallOptions.
func deadlineOf(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok { // what else it says means nothing, if it is somebody's own
		return time.Time{}
	}
	return deadline
}
