package rpc

// RoomReceiver is a Completion that wants to know when LoopStream.Send can go on: Room
// is called on the loop, once after each ErrFull, never inside Send, and not after Complete.
type RoomReceiver interface {
	Completion
	Room()
}

// A LoopStream is a streamed call for the loop's goroutine, to which all of its methods
// belong. Its Completion gets the parts of the reply if it is a PartReceiver; each
// has been taken, and its bytes are granted again, when Part returns, unless the
// stream is paused. When Complete has been called, or Cancel, no Part or Room follows.
type LoopStream struct {
	call   streamedCall
	to     Completion
	parts  PartReceiver // nil: parts are dropped
	room   RoomReceiver
	asked  bool  // Send has returned ErrFull, and Room has not been called since
	paused bool  // what is taken is not granted
	kept   int64 // meanwhile
}

// GoStream makes a streamed call: its reply, and with options.Input its request, comes in parts,
// and neither side has to hold more of them than a window. It queues the call and returns; the
// Completion is called once, as for GoBytesTo, and nil ignores the end. A call made before the
// child's hello has come is sent when it has; if the child has no streamed calls, it ends with
// ErrNoStreams. The errors of GoStream itself are those of Go, and ErrNoStreams.
func (c *Client) GoStream(to Completion, options StreamOptions, payload []byte) (*LoopStream, error) {
	if to == nil {
		to = callbackFunc(nil)
	}
	s := &LoopStream{to: to}
	s.parts, _ = to.(PartReceiver)
	s.room, _ = to.(RoomReceiver)
	if err := c.beginStreamed(&s.call, (*loopEnd)(s), options, payload, false); err != nil {
		return nil, err
	}
	return s, nil
}

// Send sends a part of the request; it is copied. It returns ErrFull, without having sent it, while
// the child grants no more, or the parent's buffer is congested; RoomReceiver tells when to go on.
// Other errors are ErrNoInput, ErrDone when the call has ended, ErrTooLarge, and what became of the
// child.
func (s *LoopStream) Send(part []byte) error {
	err := s.call.send(part)
	if err == ErrFull {
		s.asked = true
	}
	return err
}

// CloseSend says that no part of the request follows. It may be called more than
// once.
func (s *LoopStream) CloseSend() {
	s.call.ending = s.call.meta.input
	s.call.endInput()
}

// Pause grants the child nothing more: what it may send already, at most the
// window and one part, is still given to Part.
func (s *LoopStream) Pause() { s.paused = true }

// Resume grants what was taken since Pause.
func (s *LoopStream) Resume() {
	s.paused = false
	kept := s.kept
	s.kept = 0
	s.call.done(kept)
}

// Cancel is Client.Cancel.
func (s *LoopStream) Cancel() bool {
	if !s.call.live() {
		return false
	}
	s.call.client.cancel(s.call.client.calls.entry(s.call.id))
	return true
}

// loopEnd is a LoopStream as its call sees it.
type loopEnd LoopStream

// Complete implements Completion.
func (e *loopEnd) Complete(reply Payload, err error) { e.to.Complete(reply, err) }

func (e *loopEnd) takePart(part Payload) {
	if e.parts != nil {
		e.parts.Part(part)
	}
	cost := partCost(len(part))
	if e.paused {
		e.kept += cost
		return
	}
	e.call.done(cost)
}

func (e *loopEnd) mayGoOn() {
	c := &e.call
	if !e.asked || !c.started || c.room <= 0 {
		return
	}
	if c.client.stream.Congested() {
		c.later()
		return
	}
	e.asked = false
	if e.room != nil {
		e.room.Room()
	}
}
