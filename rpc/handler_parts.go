package rpc

import (
	"context"
	"iter"
)

// partedCall is what Parts and SendPart find in a handler's ctx.
type partedCall interface {
	sendPart(ctx context.Context, part Payload) error
	// nextPart waits for a part of the request; more is false at the end.
	nextPart(ctx context.Context) (part Payload, more bool, err error)
	// tookPart says that the handler has done with one.
	tookPart(cost int64) error
}

// partKey is the key under which it is found.
type partKey struct{}

// handledCall is a call as its handler's ctx knows it.
type handledCall interface {
	partedCall
	upcaller
}

// callOf is the value of key in a handler's ctx, if that is its call, and else nil.
func callOf(call handledCall, key any) any {
	switch key.(type) {
	case partKey, upcallKey:
		return call
	}
	return nil
}

// Parts returns the parts of a call's request, in their order, inside a Handler, whose
// ctx, or one that was derived from it, it is given. Each is a view that is valid
// until the next is asked for; then its bytes are granted to the caller again. The sequence
// belongs to one goroutine, under ServeSync the handler's.
//
// It waits for parts, and ends when the caller has ended them; for a call without input at
// once. An error comes last: ctx's, when the call has been cancelled or its deadline has
// passed, or that the parent has closed its side before the end. A sequence that was left early
// can be ranged over again, for the rest. Parts that the handler does not take are dropped when
// it returns.
func Parts(ctx context.Context) iter.Seq2[Payload, error] {
	call, ok := ctx.Value(partKey{}).(partedCall)
	return func(yield func(Payload, error) bool) {
		for ok {
			part, more, err := call.nextPart(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
			goOn := yield(part, nil)
			if err := call.tookPart(partCost(len(part))); err != nil && goOn {
				yield(nil, err)
				return
			}
			if !goOn {
				return
			}
		}
	}
}

// SendPart sends a part of the reply from inside a Handler, whose ctx, or one that was
// derived from it, it is given. The part is copied. It may block until the parent
// reads and, in a streamed call, until the caller has taken earlier parts. Under
// ServeGoroutines it may be called from any goroutine, under ServeSync from the handler's.
//
// It returns ErrNoParts if the caller's side takes none, ErrTooLarge, ErrDone after the
// handler has returned (under ServeSync, where the next call may have its ctx, only before that begins), or ctx's error if that
// has ended.
func SendPart(ctx context.Context, part Payload) error {
	call, ok := ctx.Value(partKey{}).(partedCall)
	if !ok {
		return ErrNoParts
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return call.sendPart(ctx, part)
}

// sendPart sends a part of the reply to a call.
func (s *Server) sendPart(id uint32, part Payload) error {
	return s.send(kindPart.word(id), part, true)
}

// refusesPart is why a part of so many bytes cannot be sent.
func (s *Server) refusesPart(size int) error {
	switch {
	case !s.takesParts:
		return ErrNoParts
	case uint64(size) > uint64(s.maxFrame):
		return ErrTooLarge
	}
	return nil
}

// partWaiter is a server of which a handler waits for parts or credit.
type partWaiter interface {
	// await returns when ready has been signalled, or with an error.
	await(ctx context.Context, ready chan struct{}) error
}

// awaitCredit waits until a part may be sent.
func (p *callParts) awaitCredit(ctx context.Context, w partWaiter, cost int64) error {
	for {
		if ok, err := p.takeCredit(cost); ok || err != nil {
			return err
		}
		if err := w.await(ctx, p.credited); err != nil {
			return err
		}
	}
}

// awaitPart waits for a part of the request.
func (p *callParts) awaitPart(ctx context.Context, w partWaiter) (part Payload, more bool, err error) {
	for p != nil {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		part, more, ended, err := p.next()
		if ended {
			return nil, false, ctx.Err() // again: the end comes behind a cancel, too
		}
		if more || err != nil {
			return part, more, err
		}
		if err := w.await(ctx, p.arrived); err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}
