package rpc

import (
	"context"
	"errors"
)

// syncContext is the ctx of the calls of a syncServer, one after the other, up to one whose handler
// derives another from it.
type syncContext struct {
	callContext
	server *syncServer
	parts  *callParts // nil unless the call is a streamed one
}

func (y *syncServer) newContext() {
	y.ctx = &syncContext{server: y}
	y.ctx.parent = context.Background()
}

// Value has SendPart, Parts and CallParent find the call.
func (c *syncContext) Value(key any) any {
	if call := callOf(c, key); call != nil {
		return call
	}
	return c.callContext.Value(key)
}

// sendPart implements partedCall.
func (c *syncContext) sendPart(ctx context.Context, part Payload) error {
	y := c.server
	if !y.handling {
		return ErrDone
	}
	if err := y.refusesPart(len(part)); err != nil {
		return err
	}
	if c.parts != nil {
		if err := c.parts.awaitCredit(ctx, c, partCost(len(part))); err != nil {
			return err
		}
	}
	return y.Server.sendPart(y.current, part)
}

// nextPart implements partedCall.
func (c *syncContext) nextPart(ctx context.Context) (Payload, bool, error) {
	if !c.server.handling {
		return nil, false, ErrDone
	}
	return c.parts.awaitPart(ctx, c)
}

// tookPart implements partedCall.
func (c *syncContext) tookPart(cost int64) error { return c.parts.took(cost) }

// await implements partWaiter: it reads what the parent sends. It ends with the handler's own ctx,
// too, of which ctx need not be derived.
func (c *syncContext) await(ctx context.Context, ready chan struct{}) error {
	y := c.server
	if err := y.writer.flush(); err != nil { // the replies to the calls before
		return err
	}
	if own, _ := c.Deadline(); !own.IsZero() {
		if other, ok := ctx.Deadline(); !ok || other.After(own) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, own)
			defer cancel()
		}
	}
	over := false
	err := y.waitFor(ctx, func() bool {
		select {
		case <-ready:
			return true
		default:
			over = c.Err() != nil
			return over
		}
	})
	if err == nil && over {
		return endOf(c)
	}
	if errors.Is(err, errInputEnded) {
		return errParentLeft
	}
	return err
}
