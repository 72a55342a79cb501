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
// until the next is asked for. The sequence waits for parts; it ends when the caller has ended them, and for
// a call without input at once. An error comes last: ctx's, when the call has been cancelled or its deadline has
// passed, or that the parent has closed its side before. What was ranged over is granted to the caller again. A sequence
// that was left early can be ranged over again, for the rest. Parts of which a handler takes none are
// dropped when it returns. It belongs to one goroutine, under ServeSync the handler's.
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
		if more || ended || err != nil {
			return part, more, err
		}
		if err := w.await(ctx, p.arrived); err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}
