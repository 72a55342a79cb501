package rpc

import "context"

// syncContext is the ctx of all calls of a syncServer, one after the other. It never
// ends.
type syncContext struct {
	context.Context
	server *syncServer
}

// Value has SendPart find the call.
func (c *syncContext) Value(key any) any {
	if key == (partKey{}) {
		return partedCall(c)
	}
	return nil
}

// sendPart implements partedCall.
func (c *syncContext) sendPart(_ context.Context, part Payload) error {
	y := c.server
	if !y.handling {
		return ErrDone
	}
	if err := y.refusesPart(len(part)); err != nil {
		return err
	}
	return y.Server.sendPart(y.current, part)
}

// nextPart implements partedCall.
func (c *syncContext) nextPart(context.Context) (Payload, bool, error) { return nil, false, nil }

// tookPart implements partedCall.
func (c *syncContext) tookPart(int64) error { return nil }
