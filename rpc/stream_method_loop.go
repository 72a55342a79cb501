package rpc

// StreamCallbacks is what the caller of StreamMethod.Go wants to hear, on the loop. A nil function
// is not called.
type StreamCallbacks[Out, Resp any] struct {
	// Part gets each part of the reply; its bytes are granted again when it returns, unless the
	// stream is paused.
	Part func(part Out)
	// Room is RoomReceiver's.
	Room func()
	// Done is called once, last, with the reply or the error. A part that cannot be decoded is a
	// *MethodError, and cancels the call.
	Done func(resp Resp, err error)
}

// A TypedLoopStream is a LoopStream with types; what is said there holds here.
type TypedLoopStream[In any] struct {
	stream *LoopStream
	in     partCodec[In]
	fail   func(kind, err error) error
}

// Go makes a call; it is Client.GoStream with types, for the loop's goroutine. A request that
// cannot be encoded is a *MethodError of Go. What Input of the options says does not matter.
func (m *StreamMethod[Req, In, Out, Resp]) Go(client *Client, options StreamOptions, req Req, callbacks StreamCallbacks[Out, Resp]) (*TypedLoopStream[In], error) {
	options.Input = !m.in.absent()
	payload, err := m.method.appendRequest(nil, req)
	if err != nil {
		return nil, err
	}
	to := &typedStreamEnd[Req, In, Out, Resp]{method: m, callbacks: callbacks}
	s, err := client.GoStream(to, options, payload)
	if err != nil {
		return nil, err
	}
	to.stream = s
	return &TypedLoopStream[In]{stream: s, in: m.in, fail: m.method.fail}, nil
}

// Send is LoopStream.Send. A part that cannot be encoded is a *MethodError, and nothing is sent.
func (s *TypedLoopStream[In]) Send(part In) error {
	return s.in.send(part, func(err error) error { return s.fail(ErrBadRequest, err) }, s.stream.Send)
}

// CloseSend is LoopStream.CloseSend.
func (s *TypedLoopStream[In]) CloseSend() { s.stream.CloseSend() }

// Pause is LoopStream.Pause.
func (s *TypedLoopStream[In]) Pause() { s.stream.Pause() }

// Resume is LoopStream.Resume.
func (s *TypedLoopStream[In]) Resume() { s.stream.Resume() }

// Cancel is LoopStream.Cancel.
func (s *TypedLoopStream[In]) Cancel() bool { return s.stream.Cancel() }

// typedStreamEnd is the Completion of a typed streamed call.
type typedStreamEnd[Req, In, Out, Resp any] struct {
	method    *StreamMethod[Req, In, Out, Resp]
	callbacks StreamCallbacks[Out, Resp]
	stream    *LoopStream
	bad       error // a part could not be decoded
}

// Part implements PartReceiver.
func (e *typedStreamEnd[Req, In, Out, Resp]) Part(payload Payload) {
	part, err := e.method.out.decode(payload)
	switch {
	case err != nil:
		e.bad = e.method.method.fail(ErrBadReply, err)
		e.stream.Cancel()
	case e.callbacks.Part != nil:
		e.callbacks.Part(part)
	}
}

// Room implements RoomReceiver.
func (e *typedStreamEnd[Req, In, Out, Resp]) Room() {
	if e.callbacks.Room != nil {
		e.callbacks.Room()
	}
}

// Complete implements Completion.
func (e *typedStreamEnd[Req, In, Out, Resp]) Complete(reply Payload, err error) {
	if e.callbacks.Done == nil {
		return
	}
	if e.bad != nil {
		err = e.bad
	}
	e.callbacks.Done(e.method.method.outcome(reply, err))
}
