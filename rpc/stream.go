package rpc

import (
	"context"
	"iter"
	"sync"
)

// A Stream is a streamed call for goroutines: its reply, and with StreamOptions.Input its
// request, comes in parts. Its methods are goroutine-safe, but not for the loop's own
// goroutine.
//
// The call ends when the child has answered, at an error, when ctx ends, by
// Cancel, or when the loop over Parts is left early; until then it is in flight. So one of
// Parts, Reply and Cancel has to be called, or ctx to be ended.
type Stream struct {
	client  *Client
	ctx     context.Context
	stop    func() bool // context.AfterFunc's
	options StreamOptions

	mu      sync.Mutex
	changed sync.Cond
	request []byte // until the call has been made
	ended   bool
	reply   Payload // what it ended with
	err     error

	parts    partQueue // of the reply
	inHand   int64     // the cost of the one that is being ranged over
	taken    int64     // their bytes that were done with, and of which the loop does not know
	dropping bool      // nobody wants them

	out    partQueue // parts of the request, for the loop
	room   int64     // that they have left: the child's credit, and at most sendAhead
	closed bool      // no other follows

	told bool         // the loop will look after the stream; streamNews's
	call streamedCall // the loop's own
}

// sendAhead is how many bytes of parts may wait here for the loop, however much the child has granted.
const sendAhead = highWater

// CallStream makes a streamed call. It does not wait: what becomes of the call is
// told by Parts and Reply. While the client is full, or the child's hello has not come, the
// call waits. Goroutine-safe.
//
// ctx is the whole call's: when it ends the call ends with ErrDeadline or ErrCanceled, with ctx's
// cause if that has one, and the child is told. Its deadline travels with the call: a child that
// notices it first answers with a *RemoteError that is ErrDeadline.
func (c *Client) CallStream(ctx context.Context, options StreamOptions, payload []byte) *Stream {
	s := &Stream{client: c, ctx: ctx, options: options}
	s.changed.L = &s.mu
	s.request = append(s.request, payload...)
	s.begin()
	return s
}

// begin hands the call to the loop.
func (s *Stream) begin() {
	s.stop = func() bool { return true }
	if s.ctx.Err() != nil {
		s.finish(nil, endOf(s.ctx))
		return
	}
	s.options.Deadline = deadlineOf(s.ctx)
	if s.ctx.Done() != nil {
		s.stop = context.AfterFunc(s.ctx, func() { s.giveUp(endOf(s.ctx)) })
	}
	if err := s.client.queue.waitReady(s.beginOnLoop, s, false); err != nil {
		s.stop()
		s.finish(nil, err)
	}
}

// beginOnLoop makes the call when there is room for one.
func (s *Stream) beginOnLoop() {
	s.mu.Lock()
	ended, request := s.ended, s.request
	s.request = nil
	s.mu.Unlock()
	if ended {
		s.stop()
		return
	}
	err := s.client.beginStreamed(&s.call, (*goroutineEnd)(s), s.options, request, true)
	if err != nil {
		s.stop()
		s.finish(nil, err)
		return
	}
	(*goroutineEnd)(s).mayGoOn()
}

// finish ends the stream, once.
func (s *Stream) finish(reply Payload, err error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.ended, s.reply, s.err = true, reply, err
	s.request, s.out = nil, partQueue{}
	s.changed.Broadcast()
	return true
}

func (s *Stream) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// giveUp ends the stream here, drops the parts that nobody has seen, and has the child told.
func (s *Stream) giveUp(why error) {
	if !s.finish(nil, why) {
		return
	}
	s.mu.Lock()
	s.parts.clear()
	s.mu.Unlock()
	s.client.news.tell(s)
}

// spoil ends the stream with an error also if the child has answered by now: a part cannot
// be understood.
func (s *Stream) spoil(why error) {
	s.giveUp(why)
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = why
		s.parts.clear()
	}
}

// Cancel ends the call with ErrCanceled, unless it has ended; the child is told.
func (s *Stream) Cancel() {
	s.giveUp(ErrCanceled)
	s.stop() // here: a call that waits for room may never come to the loop again, and ctx may last for long
}

// Parts returns the parts of the reply, in their order; each is a view that is valid until the next
// is asked for. The sequence ends when the child has answered; if the call has
// failed, an error comes last, the same that Reply returns. It can be ranged over by one goroutine,
// once, and leaving it early cancels the call.
//
// What was ranged over is granted to the child again. One that is faster waits: at most the window
// and one part are kept here.
func (s *Stream) Parts() iter.Seq2[Payload, error] {
	return func(yield func(Payload, error) bool) {
		through := false
		defer func() {
			if !through { // also by a panic
				s.Cancel()
			}
		}()
		for {
			part, more, err := s.next()
			if !more {
				through = true
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if !yield(part, nil) {
				return
			}
			s.took()
		}
	}
}

// next waits for a part. more is false at the end.
func (s *Stream) next() (part Payload, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.parts.empty() && !s.ended {
		s.changed.Wait()
	}
	if s.parts.empty() {
		return nil, false, s.err
	}
	part = s.parts.pop()
	s.inHand = partCost(len(part))
	return part, true, nil
}

// took grants the part again that was ranged over.
func (s *Stream) took() {
	s.mu.Lock()
	s.taken += s.inHand
	s.inHand = 0
	tell := !s.ended && worthGranting(s.taken, windowOf(s.options.Window))
	s.mu.Unlock()
	if tell {
		s.client.news.tell(s)
	}
}

// Reply waits for the end of the call and returns its reply, which is the
// caller's own, or its error. Parts that were not ranged over are dropped.
func (s *Stream) Reply() (Payload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dropping {
		s.dropping = true
		s.taken += s.parts.cost + s.inHand // inside the loop over Parts that one is done with only behind the reply
		s.inHand = 0
		s.parts.clear()
		s.client.news.tell(s)
	}
	for !s.ended {
		s.changed.Wait()
	}
	return s.reply, s.err
}

// Send sends a part of the request; it is copied. It waits while the child grants no
// more. That it returned nil does not mean that the child has taken the part.
//
// It returns ErrTooLarge for a part that is longer than MaxFrame, or Config.MaxBuffered; what Reply returns if the call
// has failed; ErrDone if the child has answered without waiting for the part; and, while the call goes on, ErrNoInput if it was made
// without input and after CloseSend.
func (s *Stream) Send(part []byte) error {
	if !s.client.canEverSend(part) {
		return ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.room <= 0 && !s.ended && s.options.Input && !s.closed {
		s.changed.Wait()
	}
	switch {
	case s.ended && s.err != nil:
		return s.err
	case s.ended:
		return ErrDone
	case !s.options.Input || s.closed:
		return ErrNoInput
	}
	s.room -= partCost(len(part))
	s.out.push(part)
	s.client.news.tell(s)
	return nil
}

// CloseSend says that no part of the request follows. It may be called more than
// once.
func (s *Stream) CloseSend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
	s.client.news.tell(s)
}

// goroutineEnd is a Stream as its call sees it, on the loop.
type goroutineEnd Stream

// Complete implements Completion.
func (e *goroutineEnd) Complete(reply Payload, err error) {
	s := (*Stream)(e)
	if err == nil {
		reply = reply.clone()
	}
	s.stop()
	s.client.loop.Yielding()
	s.finish(reply, err)
}

func (e *goroutineEnd) takePart(part Payload) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.ended: // what comes until the child has heard of it
	case e.dropping:
		e.call.done(partCost(len(part)))
	default:
		e.client.loop.Yielding()
		e.parts.push(part)
		e.changed.Broadcast()
	}
}
