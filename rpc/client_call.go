package rpc

import "context"

// What goroutines do with a client: they hand over a waiter, and wait.

// Call calls the child's function with a STRING list of arguments and waits for
// the reply, which is the caller's own. While the client is full it waits for
// room, and, if ctx has a deadline, for the child's hello. When ctx ends it returns ErrDeadline or ErrCanceled, with ctx's cause if
// that has one, and the call is abandoned: it counts as in flight until the child has answered
// it. On the Evfork wire the child is told, as with Cancel, and ctx's deadline
// travels with the call: a child that notices it first answers with a *RemoteError that
// is ErrDeadline. Goroutine-safe; on the loop's own goroutine it would
// wait for itself.
func (c *Client) Call(ctx context.Context, args ...string) (Payload, error) {
	w := c.queue.waiter()
	w.give(AppendStrings(w.own[:0], args...))
	return c.call(ctx, w)
}

// CallBytes is Call with a payload that has been encoded already. It must not be changed before CallBytes has
// returned: if ctx has no end it is not copied. Goroutine-safe.
func (c *Client) CallBytes(ctx context.Context, payload []byte) (Payload, error) {
	w := c.queue.waiter()
	w.lend(payload)
	return c.call(ctx, w)
}

func (c *Client) call(ctx context.Context, w *waiter) (Payload, error) {
	done, err := c.begin(ctx, w)
	if err != nil {
		return nil, err
	}
	ended := true
	switch {
	case w.late:
		ended = w.foundLate() || w.parkLate(done)
	case w.patient:
		<-w.ready
	default:
		ended = w.wait(done)
	}
	if !ended {
		c.queue.giveUp(w)
		return nil, endOf(ctx)
	}
	w.wakeNext()
	reply, err := w.reply, w.err
	c.queue.recycle(w)
	return reply, err
}

// begin hands a waiter to the loop. After an error it is recycled. ctx, which may be anybody's, is asked for done here and
// not again before the call has ended: if that panicked or blocked, nobody would wake those who are behind the waiter in a row.
func (c *Client) begin(ctx context.Context, w *waiter) (done <-chan struct{}, err error) {
	done = ctx.Done()
	if w.patient = done == nil; !w.patient {
		w.keep()
		if ctx.Err() != nil {
			c.queue.recycle(w)
			return nil, endOf(ctx)
		}
		w.deadline = deadlineOf(ctx)
	}
	if err = c.queue.submit(w); err != nil {
		c.queue.recycle(w)
	}
	return done, err
}

// makeCall makes a goroutine's call. Its deadline is the goroutine's business, but
// travels: so it waits for the hello of the child, which may else begin it without knowing of the deadline.
func (c *Client) makeCall(w *waiter) (err error) {
	if c.awaitsHello() && !w.patient && !w.deadline.IsZero() {
		return ErrFull
	}
	if w.typed != nil && w.typed.handed {
		return c.makeHanded(w.typed)
	}
	if w.patient || w.deadline.IsZero() {
		w.id, err = c.callBytes(w, w.request)
		return err
	}
	if err = c.refusal(); err == nil {
		w.id, err = c.sendWith(w, CallOptions{Deadline: w.deadline}, c.timebase.at(w.deadline), w.request)
	}
	return err
}

// ShutdownWait shuts the client down and waits until the child is gone and every
// call has ended, which may have happened before. It returns nil after an orderly
// end, and else what OnError is told. Goroutine-safe; the loop must be running.
func (c *Client) ShutdownWait(ctx context.Context) error {
	_ = c.loop.Post(c.Shutdown) // an error means that the loop has ended: see below
	select {
	case <-c.ended:
		return c.result
	case <-ctx.Done():
		return ctx.Err()
	case <-c.loop.Done():
	}
	select {
	case <-c.ended: // that came first
		return c.result
	default:
		return ErrClosed
	}
}
