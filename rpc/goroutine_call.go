package rpc

import (
	"context"
	"sync"
)

// goroutineCall is a call that has a goroutine, and its ctx.
type goroutineCall struct {
	callContext
	server  *goroutineServer
	id      uint32
	place   int // in running
	request *[]byte
	parts   *callParts // nil unless the call is a streamed one

	parting  sync.Mutex // orders parts before the answer
	answered bool
}

// number and length implement waitingCall.
func (c *goroutineCall) number() uint32 { return c.id }
func (c *goroutineCall) length() int    { return len(*c.request) }

// sendPart implements partedCall: a part of the reply to a call that has a goroutine.
func (c *goroutineCall) sendPart(ctx context.Context, part Payload) error {
	if err := c.server.refusesPart(len(part)); err != nil {
		return err
	}
	if c.parts != nil {
		if err := c.parts.awaitCredit(ctx, c, partCost(len(part))); err != nil {
			return err
		}
	}
	c.parting.Lock()
	defer c.parting.Unlock()
	if c.answered {
		return ErrDone
	}
	return c.server.sendPart(c.id, part)
}

// nextPart implements partedCall.
func (c *goroutineCall) nextPart(ctx context.Context) (Payload, bool, error) {
	return c.parts.awaitPart(ctx, c)
}

// tookPart implements partedCall.
func (c *goroutineCall) tookPart(cost int64) error { return c.parts.took(cost) }

// await implements partWaiter.
func (c *goroutineCall) await(ctx context.Context, ready chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.Done(): // of which ctx need not be derived
		return c.Err()
	}
}

// noMoreParts is called when the handler has returned: no part may come behind the reply.
func (c *goroutineCall) noMoreParts() {
	c.parting.Lock()
	defer c.parting.Unlock()
	c.answered = true
	c.parts.over()
}

// Value has SendPart, Parts and CallParent find the call.
func (c *goroutineCall) Value(key any) any {
	if call := callOf(c, key); call != nil {
		return call
	}
	return c.callContext.Value(key)
}
