package rpc

// A reply may come in parts: frames of kind part with the call's id, any number of them, before the
// reply itself. Their order among all frames is kept. Unless the call is a streamed one, they need
// no credit, like events: the parent's callback has had one part before the next is read, and a
// child that is faster finds its pipe full.

// PartReceiver is a Completion that wants the parts of its reply: Part is called on the loop for
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
