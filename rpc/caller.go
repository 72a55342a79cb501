package rpc

import "context"

// A Caller makes the calls of one goroutine, one after the other, and allocates nothing for them: what a call
// needs, and the memory of its reply, is used again for the next. That of a request or reply of more than 64 KiB is not, nor that of a
// call that was not made or that its ctx has ended. Beside that it is as Client.Call. It need not be closed. A Caller belongs
// to one goroutine at a time; a client may have any number of them.
type Caller struct {
	client *Client
	w      *waiter // of the next call; nil: there is none yet, or the last call was given up
	list   []byte  // the arguments of Call, encoded
}

// NewCaller returns a Caller of the client's. Goroutine-safe.
func (c *Client) NewCaller() *Caller { return &Caller{client: c} }

// Call is Client.Call, but for the reply: it is valid until the next call of this Caller, whose arguments may refer to
// it. Not for the loop's own goroutine.
func (a *Caller) Call(ctx context.Context, args ...string) (Payload, error) {
	a.list = AppendStrings(a.list[:0], args...)
	return a.CallBytes(ctx, a.list)
}

// CallBytes is Call with a payload that has been encoded already, which may be a part of the last reply. As with
// Client.CallBytes, it must not be changed before CallBytes has returned.
func (a *Caller) CallBytes(ctx context.Context, payload []byte) (Payload, error) {
	w := a.take()
	w.lend(payload)
	if cap(a.list) > bufferKept {
		a.list = nil
	}
	done, err := a.client.begin(ctx, w)
	if err != nil {
		return nil, err
	}
	// As in Client.call, and not a function of both: the stacks of a thousand goroutines are not in the cache, and each frame more
	// is a line of it (docs/performance.md, "Where R2 stands").
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
		a.client.queue.giveUp(w)
		return nil, endOf(ctx)
	}
	w.wakeNext()
	reply, err := w.reply, w.err
	w.reset()
	a.w = w
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// take returns a waiter for a call. The Caller has none until that has ended.
func (a *Caller) take() *waiter {
	w := a.w
	a.w = nil
	if w == nil {
		w = a.client.queue.waiter()
		w.keeps = true
	}
	if w.reply == nil || cap(w.reply) > bufferKept {
		w.reply = make(Payload, 0, smallRequest) // not nil: an empty reply is one
	}
	return w
}
