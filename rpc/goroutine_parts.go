package rpc

import "context"

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
	c.server.waits(c, 1)
	defer c.server.waits(c, -1)
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

// Value has SendPart and Parts find the call.
func (c *goroutineCall) Value(key any) any {
	if key == (partKey{}) {
		return partedCall(c)
	}
	return c.callContext.Value(key)
}

// waits counts the goroutines of a call that wait for parts or credit.
func (g *goroutineServer) waits(c *goroutineCall, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := c.waits > 0
	c.waits += n
	switch now := c.waits > 0; {
	case now && !before:
		g.stuck++
		g.change.Broadcast()
	case before && !now:
		g.stuck--
	}
}

// mustReadOn reports whether only the parent can have a call end: every one that runs
// waits for parts or credit, which may lie behind the calls that wait.
func (g *goroutineServer) mustReadOn() bool { return g.stuck > 0 && g.stuck == len(g.running) }

// refuseFull answers a call for which there is no room, without having begun it.
func (g *goroutineServer) refuseFull(call *incoming) {
	call.parts.over()
	if _, err := g.answerInTurn(call.id, nil, errTooManyWait, true); err != nil {
		g.cancel(err)
	}
}

// errTooManyWait is the answer to a call that a server could neither begin nor keep: it
// has to read on, because the calls that it has begun wait for what comes behind.
var errTooManyWait = refuse(KindFull, "too many calls wait behind streamed ones")
