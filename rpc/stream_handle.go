package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// HandlerStream is the parts of a call, for a handler that was registered with
// StreamMethod.Handle. It can be used until the handler returns.
type HandlerStream[In, Out any] struct {
	ctx context.Context
	in  partCodec[In]
	out partCodec[Out]
}

// Handle registers fn as the method's handler, for ServeSync and ServeGoroutines; under
// ServeAsync, where it must not block, its calls fail. It panics if the Mux has a handler of that
// name. An error becomes the caller's *RemoteError, and so does a panic, with its stack.
func (m *StreamMethod[Req, In, Out, Resp]) Handle(mux *Mux, fn func(ctx context.Context, req Req, parts *HandlerStream[In, Out]) (Resp, error)) {
	mux.register(m.method.name, &streamHandler[Req, In, Out, Resp]{m, fn})
}

// Parts is the function of that name with types. A part that cannot be decoded is an error, the
// last of the sequence; the caller gets a *MethodError if the handler returns it.
func (s *HandlerStream[In, Out]) Parts() iter.Seq2[In, error] {
	return func(yield func(In, error) bool) {
		var none In
		for payload, err := range Parts(s.ctx) {
			if err != nil {
				yield(none, err)
				return
			}
			part, err := s.in.decode(payload)
			if err != nil {
				yield(none, refuse(KindBadRequest, "a part: %v", err))
				return
			}
			if !yield(part, nil) {
				return
			}
		}
	}
}

// Send is SendPart with types. A part that cannot be encoded is an error, and nothing is sent; the
// caller gets a *MethodError if the handler returns it.
func (s *HandlerStream[In, Out]) Send(part Out) error {
	return s.out.send(part, badPart, func(payload []byte) error { return SendPart(s.ctx, payload) })
}

// badPart is a part of a reply that cannot be encoded.
func badPart(err error) error { return refuse(KindBadReply, "a part: %v", err) }

type streamHandler[Req, In, Out, Resp any] struct {
	method *StreamMethod[Req, In, Out, Resp]
	fn     func(context.Context, Req, *HandlerStream[In, Out]) (Resp, error)
}

func (h *streamHandler[Req, In, Out, Resp]) codecName() string { return h.method.method.codec.Name() }

func (h *streamHandler[Req, In, Out, Resp]) serve(ctx context.Context, request, buf []byte) ([]byte, error) {
	m := h.method.method
	req, err := m.decodeRequest(request)
	if err != nil {
		return nil, err
	}
	resp, err := h.fn(ctx, req, &HandlerStream[In, Out]{ctx, h.method.in, h.method.out})
	if err != nil {
		return nil, err
	}
	return m.appendReply(buf, resp)
}

// begin cannot call a handler that blocks.
func (h *streamHandler[Req, In, Out, Resp]) begin(_ []byte, done Done) {
	done.Fail(fmt.Errorf("rpc: method %q: %w", h.method.method.name, errWrongServer))
}

// errWrongServer is the answer to calls of a StreamMethod whose handler is one for other servers.
var errWrongServer = errors.New("its handler is not for this kind of server")
