package rpc

import (
	"context"

	"github.com/valyala/bytebufferpool"
)

// upcaller is what CallParent finds in a handler's ctx.
type upcaller interface {
	callParent(ctx context.Context, payload []byte) (Payload, error)
}

// upcallKey is the key under which it is found.
type upcallKey struct{}

// CallParent calls the parent from inside a Handler, whose ctx, or one that was derived
// from it, it is given: with a STRING list of arguments. It waits for room, if as many
// calls are open as the parent takes, and for the reply, which is the caller's own. Under
// ServeGoroutines it may be called from any goroutine, under ServeSync from the handler's;
// Server.Context has a ctx for other goroutines.
//
// An error of the parent's handler is a *RemoteError. Others are
//
//   - ErrDeadline or ErrCanceled, with ctx's cause if that has one, when ctx ends. The parent is
//     told that nobody waits; until it has answered, the call counts as one of those that it
//     takes. Under ServeSync this is also how a handler learns that its own call was
//     cancelled, while it waits here.
//   - ErrNoCalls if the parent takes no calls, or ctx is not a Handler's.
//   - ErrTooLarge.
//   - ErrDone under ServeSync after the handler has returned.
//   - ErrShutdown if the parent has closed its side, being gone or shut down, and a *LostError,
//     with this or another cause, if that happened while the call was open, if it cannot be sent, and
//     if the server has failed.
func CallParent(ctx context.Context, args ...string) (Payload, error) {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	b.B = AppendStrings(b.B, args...)
	return CallParentBytes(ctx, b.B)
}

// CallParentBytes is CallParent with a payload that has been encoded already; it is
// copied.
func CallParentBytes(ctx context.Context, payload []byte) (Payload, error) {
	caller, ok := ctx.Value(upcallKey{}).(upcaller)
	if !ok {
		return nil, errNotHere
	}
	return caller.callParent(ctx, payload)
}

// callParent implements upcaller: it is where a handler of a syncServer waits.
func (c *syncContext) callParent(ctx context.Context, payload []byte) (reply Payload, err error) {
	y := c.server
	u := &y.upcalls
	if !y.handling {
		return nil, ErrDone
	}
	if err := u.refusal(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, endOf(ctx)
	}
	if !u.tryEnter() {
		// The parent may need the replies to the calls before, to answer.
		if err := y.writer.flush(); err != nil {
			return nil, &LostError{Cause: err}
		}
		entered := false
		if err := y.waitFor(ctx, func() bool { entered = u.tryEnter(); return entered || u.refusal() != nil }); err != nil {
			return nil, err
		}
		if !entered {
			return nil, u.refusal()
		}
	}
	w := &syncUpcall{}
	id, err := u.begin(w, payload)
	if err != nil {
		return nil, err
	}
	if err := y.waitFor(ctx, func() bool { return w.ended }); err != nil {
		u.abandon(id)
		return nil, err
	}
	return w.reply, w.err
}

// syncUpcall is a call for which a syncServer waits.
type syncUpcall struct {
	reply Payload
	err   error
	ended bool
}

// Complete implements Completion.
func (w *syncUpcall) Complete(reply Payload, err error) {
	w.ended, w.err = true, err
	if err == nil {
		w.reply = reply.clone()
	}
}

// Context returns a ctx for CallParent, and Method.CallParent, outside handlers: by any
// goroutine of a child with ServeGoroutines; under the other servers they return
// ErrNoCalls. Calls wait for the parent's hello. It is goroutine-safe.
func (s *Server) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, upcallKey{}, upcaller(s))
}

// callParent implements upcaller.
func (c *goroutineCall) callParent(ctx context.Context, payload []byte) (Payload, error) {
	return c.server.callParent(ctx, payload)
}

// callParent implements upcaller.
func (s *Server) callParent(ctx context.Context, payload []byte) (Payload, error) {
	u := &s.upcalls
	if ctx.Err() != nil {
		return nil, endOf(ctx)
	}
	if err := u.enter(ctx); err != nil {
		return nil, err
	}
	w := &goroutineUpcall{ready: make(chan struct{})}
	id, err := u.begin(w, payload)
	if err != nil {
		return nil, err
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		if u.abandon(id) != nil {
			return nil, endOf(ctx)
		}
		<-w.ready // that came first
	}
	return w.reply, w.err
}

// enter takes the room for a call of a goroutine, and waits for it.
func (u *upcalls) enter(ctx context.Context) error {
	if err := u.mayWait(); err != nil {
		return err
	}
	select {
	case <-u.granted:
	case <-u.over:
		return u.refusal()
	case <-ctx.Done():
		return endOf(ctx)
	}
	if err := u.mayWait(); err != nil {
		return err
	}
	select {
	case u.room <- struct{}{}:
		return nil
	case <-u.over:
		return u.refusal()
	case <-ctx.Done():
		return endOf(ctx)
	}
}

// goroutineUpcall is a call for which a goroutine waits.
type goroutineUpcall struct {
	ready chan struct{}
	reply Payload
	err   error
}

// Complete implements Completion.
func (w *goroutineUpcall) Complete(reply Payload, err error) {
	w.err = err
	if err == nil {
		w.reply = reply.clone()
	}
	close(w.ready)
}
