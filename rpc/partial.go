package rpc

import (
	"cmp"
	"context"
)

// A reply may come in parts: frames of kind partial with the call's id, any number
// of them, before the reply itself. Their order among all frames is kept. Unless the call
// is a streamed one, they need no credits, like events: the parent's callback has had one part before the
// next is read, and a child that is faster finds its pipe full.

// PartReceiver is a Completion that wants partial replies: Part is called on the loop for
// each, in their order, before Complete. The part is a view that is valid until
// Part returns. The parts of a call whose Completion is no PartReceiver are
// dropped, and so are those that come after a cancel or the deadline.
type PartReceiver interface {
	Completion
	Part(part Payload)
}

// part delivers a part of a reply.
func (c *Client) part(id uint32, payload Payload) error {
	e := c.calls.find(id)
	if e == nil {
		return violation("part of a reply to call %d, which is not in flight", id)
	}
	switch to := e.to.(type) {
	case *streamedCall:
		return to.part(payload)
	case PartReceiver:
		to.Part(payload)
	}
	return nil
}

// SendPart sends a part of the reply from inside a Handler, whose ctx, or one that was
// derived from it, it is given. The part is copied. It may block until the parent
// reads and, in a streamed call, until the caller has taken parts before. It returns ErrNoParts if the caller's side takes none, ErrTooLarge, ErrDone after the
// handler has returned, or ctx's error if that has ended. Under ServeGoroutines it may be
// called from any goroutine, under ServeSync from the handler's.
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

// Part sends a part of the reply, a STRING list. It returns ErrNoParts if
// the caller's side takes none, ErrFull if the parent does not read, or, in a streamed call, the caller has
// not taken parts before (OnRoom tells when to go on), ErrTooLarge, ErrDone after the answer, or what OnCancel is
// told: ErrCanceled once the caller has cancelled the call, ErrDeadline, or a *LostError. Then the call has still to be
// answered.
func (d Done) Part(values ...string) error { return d.PartBytes(Strings(values...)) }

// PartBytes is Part with a payload that has been encoded already; it is copied.
func (d Done) PartBytes(part []byte) error {
	s := &d.open.slots[d.slot]
	if s.gen != d.gen {
		return ErrDone
	}
	return d.open.owner.partOfOpen(s, part)
}

// partOfOpen implements callOwner.
func (a *asyncServer) partOfOpen(call *openCall, part Payload) error {
	if err := a.refusesPart(len(part)); err != nil {
		return err
	}
	if n := call.notify; n != nil && n.why != nil {
		return n.why // nobody takes it, and nobody grants more
	}
	if a.full() {
		return ErrFull
	}
	if call.parts != nil {
		if ok, err := call.parts.takeCredit(partCost(len(part))); !ok {
			return cmp.Or(err, ErrFull)
		}
	}
	return a.sendPart(call.id, part)
}
