package rpc

import (
	"encoding/binary"
	"math"
	"time"
)

// StreamOptions is what can be said about one streamed call. The zero value is useful.
type StreamOptions struct {
	// Deadline is CallOptions.Deadline, for calls made on the loop. The calls of
	// goroutines have their ctx's.
	Deadline time.Time
	// Window limits the parts of the reply that have come and have not been taken: one more may
	// come while they have less than so many bytes. A part counts for its length and
	// 8 bytes. 0: 256 KiB.
	Window int
	// Input says that the request has parts, too, which are sent when the call has been
	// made. How many may wait at the child is the child's to say (ServerConfig.Window).
	Input bool
}

// streamedCall is a call whose request or reply comes in parts on credit: what a LoopStream and a
// Stream have in common. It belongs to the loop, and lies in the table of calls as their
// Completion.
type streamedCall struct {
	client *Client
	end    streamEnd
	id     uint32
	meta   metadata
	due    time.Duration // of the deadline

	request []byte // of a call that the child has not been told of yet
	early   int    // its bytes that client.streams counts
	started bool   // it has been
	listed  bool   // in client.streams.waiting

	credit int64 // of parts of the reply that may come
	taken  int64 // their bytes that were done with and have not been granted again
	room   int64 // for parts of the request
	ending bool  // no part of the request follows
	ended  bool  // and the child has been told
}

// streamEnd is who made a streamed call.
type streamEnd interface {
	Completion
	// takePart takes a part of the reply, a view; done is called with its cost.
	takePart(part Payload)
	// mayGoOn says that there is room for parts of the request, or may be.
	mayGoOn()
}

// untoldEnd is the place in the order of calls of one that the child has not been told of.
const untoldEnd = math.MaxUint64

// beginStreamed makes a streamed call. While the child's hello has not come, nobody
// knows whether it has them, and the call waits; it does so also while there is no room
// for its bytes, if waits is true.
func (c *Client) beginStreamed(s *streamedCall, end streamEnd, options StreamOptions, payload []byte, waits bool) error {
	if c.greeted && !c.understands.credits { // as on AnyEvent's wires, from the start
		return ErrNoStreams
	}
	if err := c.refusal(); err != nil {
		return err
	}
	if uint64(len(payload)) > uint64(max(int64(c.maxFrame)-int64(maxMetadata), 0)) {
		return ErrTooLarge
	}
	s.client, s.end = c, end
	s.meta = metadata{limited: true, window: windowOf(options.Window), input: options.Input}
	s.credit = s.meta.window
	if !options.Deadline.IsZero() {
		s.meta.bounded = true
		s.due = c.timebase.at(options.Deadline)
	}
	if !c.greeted && !waits {
		if err := c.streams.admit(payload, c.config.MaxBuffered); err != nil {
			return err
		}
		s.early = len(payload)
	}
	s.id = c.calls.reserve()
	err := ErrFull
	if c.greeted {
		err = s.start(payload)
	}
	switch {
	case err == ErrFull && (waits || !c.greeted):
		s.request = Payload(payload).clone()
		c.calls.add(s.id, s, untoldEnd)
		s.later()
	case err != nil:
		return err
	default:
		c.calls.add(s.id, s, c.stream.Accepted())
	}
	c.streams.open++
	if s.meta.bounded && !waits { // a goroutine's ctx ends its call, and knows the cause
		c.expireAt(s.id, s.due)
	}
	return nil
}

// start tells the child of the call.
func (s *streamedCall) start(payload []byte) error {
	c := s.client
	if s.meta.bounded {
		bound := c.boundedBy(s.due)
		s.meta.absolute, s.meta.left = bound.absolute, bound.left
	}
	buf := c.stream.AppendBuffer()
	start := len(buf)
	buf = append(s.meta.append(Evfork.appendRoom(buf)), payload...)
	binary.BigEndian.PutUint64(buf[start:], uint64(kindMetaCall.word(s.id))<<32|uint64(len(buf)-start-headerSize))
	if err := c.stream.Commit(buf); err != nil {
		return c.notMade(err)
	}
	s.started = true
	s.drop()
	s.room = c.peerWindow
	return nil
}

// drop forgets the request.
func (s *streamedCall) drop() {
	s.client.streams.leave(s.early)
	s.request, s.early = nil, 0
}

// live reports whether the call is in flight and its caller waits for it.
func (s *streamedCall) live() bool {
	if s.client == nil {
		return false // not begun
	}
	e := s.client.calls.find(s.id)
	return e != nil && e.to == Completion(s)
}

// later has goOn called when there may be room.
func (s *streamedCall) later() {
	if !s.listed {
		s.listed = true
		s.client.streams.waiting = append(s.client.streams.waiting, s)
	}
}

// goOn sends what could not be sent before.
func (s *streamedCall) goOn() {
	if !s.live() {
		return
	}
	if !s.started {
		if !s.startLate() {
			return
		}
	}
	s.grant()
	s.end.mayGoOn()
	s.endInput()
}

// startLate is start for a call that has waited for the hello, or for room.
func (s *streamedCall) startLate() bool {
	c := s.client
	if !c.understands.credits {
		c.calls.take(s.id)
		s.Complete(nil, ErrNoStreams)
		return false
	}
	switch err := s.start(s.request); err {
	case nil:
		c.calls.entry(s.id).end = c.stream.Accepted()
		return true
	case ErrFull:
		s.later()
	case ErrTooLarge:
		c.calls.take(s.id)
		s.Complete(nil, err)
	} // any other error: the child is going, and its end ends the call
	return false
}

// part takes a part of the reply.
func (s *streamedCall) part(payload Payload) error {
	if s.credit <= 0 {
		return violation("part of a reply to call %d, whose credit is used up", s.id)
	}
	s.credit -= partCost(len(payload))
	s.end.takePart(payload)
	return nil
}

// done says that the caller has done with so many bytes of parts.
func (s *streamedCall) done(cost int64) {
	s.taken += cost
	s.grant()
}

// grant grants the child what was taken, when that is worth it.
func (s *streamedCall) grant() {
	if !worthGranting(s.taken, s.meta.window) || !s.live() {
		return
	}
	var payload [creditSize]byte
	switch s.client.control(kindCredit.word(s.id), appendCredit(payload[:0], s.taken)) {
	case nil:
		s.credit = addCredit(s.credit, s.taken)
		s.taken = 0
	case ErrFull:
		s.later()
	}
}

// send sends a part of the request. ErrFull means that there is no room now.
func (s *streamedCall) send(part []byte) error {
	c := s.client
	switch {
	case !s.live():
		return ErrDone
	case !s.meta.input || s.ending:
		return ErrNoInput
	case uint64(len(part)) > uint64(c.maxFrame):
		return ErrTooLarge
	case s.room <= 0: // as before the start
		return ErrFull // the hello, or credit, has goOn called
	case c.stream.Congested():
		s.later()
		return ErrFull
	}
	err := c.control(kindPart.word(s.id), part)
	switch err {
	case nil:
		s.room -= partCost(len(part))
	case ErrFull:
		s.later()
	}
	return err
}

// endInput tells the child that no part of the request follows.
func (s *streamedCall) endInput() {
	if !s.ending || s.ended || !s.started || !s.live() {
		return
	}
	switch s.client.control(kindPartsEnd.word(s.id), nil) {
	case ErrFull:
		s.later()
	default:
		s.ended = true
	}
}

// Complete implements Completion. The child is told that no part of the request
// follows, also if it has answered without waiting for them.
func (s *streamedCall) Complete(reply Payload, err error) {
	c := s.client
	c.streams.open--
	s.drop()
	if s.started && s.meta.input && !s.ended {
		s.ended = true
		c.endParts(s.id)
	}
	c.closeInput()
	s.end.Complete(reply, err)
}
