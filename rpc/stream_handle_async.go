package rpc

import (
	"context"
	"fmt"
)

// HandleAsync registers fn as the method's handler for ServeAsync; under the other servers its calls
// fail. It panics if the Mux has a handler of that name. fn runs on the loop, and so must whoever
// uses parts.
func (m *StreamMethod[Req, In, Out, Resp]) HandleAsync(mux *Mux, fn func(req Req, parts *AsyncStream[In, Out, Resp])) {
	mux.register(m.method.name, &asyncStreamHandler[Req, In, Out, Resp]{m, fn})
}

// AsyncStream is a call of a StreamMethod under ServeAsync: its parts, and its answer, of which the
// first ends it. Its methods belong to the loop's goroutine. They are those of Done with types.
type AsyncStream[In, Out, Resp any] struct {
	done     Done
	in       partCodec[In]
	out      partCodec[Out]
	answerer answerer[Resp]
}

// OnParts is Done.OnParts. A part that cannot be decoded fails the call; the caller gets a
// *MethodError.
func (s *AsyncStream[In, Out, Resp]) OnParts(part func(part In), end func()) {
	s.done.OnParts(func(payload Payload) {
		value, err := s.in.decode(payload)
		switch {
		case err != nil:
			s.done.Fail(refuse(KindBadRequest, "a part: %v", err))
		case part != nil:
			part(value)
		}
	}, end)
}

// PauseParts is Done.PauseParts.
func (s *AsyncStream[In, Out, Resp]) PauseParts() { s.done.PauseParts() }

// ResumeParts is Done.ResumeParts.
func (s *AsyncStream[In, Out, Resp]) ResumeParts() { s.done.ResumeParts() }

// Send is Done.Part. A part that cannot be encoded is an error, and nothing is sent; the caller
// gets a *MethodError if it is given to Fail.
func (s *AsyncStream[In, Out, Resp]) Send(part Out) error {
	return s.out.send(part, badPart, s.done.PartBytes)
}

// OnRoom is Done.OnRoom.
func (s *AsyncStream[In, Out, Resp]) OnRoom(fn func()) { s.done.OnRoom(fn) }

// OnCancel is Done.OnCancel.
func (s *AsyncStream[In, Out, Resp]) OnCancel(fn func(err error)) { s.done.OnCancel(fn) }

// Context is Done.Context.
func (s *AsyncStream[In, Out, Resp]) Context() context.Context { return s.done.Context() }

// Reply answers with resp, which has been encoded when it returns.
func (s *AsyncStream[In, Out, Resp]) Reply(resp Resp) error { return s.answerer.end(s.done, resp) }

// Fail answers with an error; see Handler.
func (s *AsyncStream[In, Out, Resp]) Fail(err error) error { return s.done.Fail(err) }

type asyncStreamHandler[Req, In, Out, Resp any] struct {
	method *StreamMethod[Req, In, Out, Resp]
	fn     func(Req, *AsyncStream[In, Out, Resp])
}

func (h *asyncStreamHandler[Req, In, Out, Resp]) codecName() string {
	return h.method.method.codec.Name()
}

func (h *asyncStreamHandler[Req, In, Out, Resp]) begin(request []byte, done Done) {
	m := h.method.method
	req, err := m.decodeRequest(request)
	if err != nil {
		done.Fail(err)
		return
	}
	h.fn(req, &AsyncStream[In, Out, Resp]{done, h.method.in, h.method.out, m})
}

// serve cannot wait: what the handler waits for is called back on a loop.
func (h *asyncStreamHandler[Req, In, Out, Resp]) serve(context.Context, []byte, []byte) ([]byte, error) {
	return nil, fmt.Errorf("rpc: method %q: %w", h.method.method.name, errWrongServer)
}
