package rpc

import (
	"context"
	"errors"
)

// A reply may come in parts: frames of kind partial with the call's id, any number
// of them, before the reply itself. Their order among all frames is kept. Like
// events they need no credits: the parent's callback has had one part before the
// next is read, and a child that is faster finds its pipe full.

// PartReceiver is a Completion that wants partial replies: Part is called on the loop for
// each, in their order, before Complete. The part is a view that is valid until
// Part returns. The parts of a call whose Completion is no PartReceiver are
// dropped, and so are those that come after a cancel or the deadline.
type PartReceiver interface {
	Completion
	Part(part Payload)
}

// ErrNoParts: the other side takes no partial replies: it speaks an AnyEvent wire, or
// has not named the feature in its hello.
var ErrNoParts = errors.New("rpc: the caller takes no partial replies")

// part delivers a part of a reply.
func (c *Client) part(id uint32, payload Payload) error {
	e := c.calls.find(id)
	if e == nil {
		return violation("part of a reply to call %d, which is not in flight", id)
	}
	if to, ok := e.to.(PartReceiver); ok {
		to.Part(payload)
	}
	return nil
}

// partSender is what SendPart finds in a handler's ctx.
type partSender interface {
	sendPart(part Payload) error
}

// partKey is the key under which it is found.
type partKey struct{}

// SendPart sends a part of the reply from inside a Handler, whose ctx, or one that was
// derived from it, it is given. The part is copied. It may block until the parent
// reads. It returns ErrNoParts if the caller's side takes none, ErrTooLarge, ErrDone after the
// handler has returned, or ctx's error if that has ended. Under ServeGoroutines it may be
// called from any goroutine, under ServeSync from the handler's.
func SendPart(ctx context.Context, part Payload) error {
	sender, ok := ctx.Value(partKey{}).(partSender)
	if !ok {
		return ErrNoParts
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return sender.sendPart(part)
}

// sendPart sends a part of the reply to a call.
func (s *Server) sendPart(id uint32, part Payload) error {
	if !s.parts {
		return ErrNoParts
	}
	return s.send(kindPart.word(id), part, true)
}

// Part sends a part of the reply, a STRING list. It returns ErrNoParts if
// the caller's side takes none, ErrFull if the parent does not read
// (ServerConfig.OnDrain tells when to go on), ErrTooLarge, or ErrDone after the answer.
func (d Done) Part(values ...string) error { return d.PartBytes(Strings(values...)) }

// PartBytes is Part with a payload that has been encoded already; it is copied.
func (d Done) PartBytes(part []byte) error {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return ErrDone
	}
	return d.open.owner.partOfOpen(s.id, part)
}

// partOfOpen implements callOwner.
func (a *asyncServer) partOfOpen(id uint32, part Payload) error {
	if a.full() {
		return ErrFull
	}
	return a.sendPart(id, part)
}

// sendPart implements partSender: a part of the reply to a call that has a
// goroutine.
func (c *goroutineCall) sendPart(part Payload) error {
	c.parting.Lock()
	defer c.parting.Unlock()
	if c.answered {
		return ErrDone
	}
	return c.server.sendPart(c.id, part)
}

// noMoreParts is called when the handler has returned: no part may come behind the reply.
func (c *goroutineCall) noMoreParts() {
	c.parting.Lock()
	defer c.parting.Unlock()
	c.answered = true
}

// Value has SendPart and CallParent find the call.
func (c *goroutineCall) Value(key any) any {
	switch key.(type) {
	case partKey:
		return partSender(c)
	case upcallKey:
		return upcaller(c)
	}
	return c.callContext.Value(key)
}

// syncContext is the ctx of all calls of a syncServer, one after the other.
type syncContext struct {
	callContext
	server *syncServer
}

// Value has SendPart and CallParent find the call.
func (c *syncContext) Value(key any) any {
	switch key.(type) {
	case partKey:
		return partSender(c)
	case upcallKey:
		return upcaller(c)
	}
	return c.callContext.Value(key)
}

// sendPart implements partSender.
func (c *syncContext) sendPart(part Payload) error {
	if !c.server.handling {
		return ErrDone
	}
	return c.server.Server.sendPart(c.server.current, part)
}
