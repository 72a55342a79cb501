package rpc

import (
	"context"
	"iter"

	"github.com/valyala/bytebufferpool"
)

// None is the type of the parts of a StreamMethod that has none in that direction.
type None struct{}

// A StreamMethod is a Method whose calls are streamed: beside the request there may be
// parts of it, of type In, and beside the reply parts of that, of type Out. None says
// that there are none:
//
//	var Search = rpc.NewStreamMethod[Query, rpc.None, Hit, Summary]("search", cborcodec.Codec{})
//
// The parent calls it with Call or Go; the child has it handled by a Mux, with Handle (ServeSync,
// ServeGoroutines) or HandleAsync (ServeAsync). It is immutable and can be used by all goroutines.
// Parts are the codec's copies like requests and replies, unless the codec says otherwise:
// rawcodec's are views, valid until the next part is asked for.
type StreamMethod[Req, In, Out, Resp any] struct {
	method *Method[Req, Resp]
	in     partCodec[In]
	out    partCodec[Out]
}

// NewStreamMethod declares a method. Its name must not be that of a Method.
func NewStreamMethod[Req, In, Out, Resp any](name string, codec Codec) *StreamMethod[Req, In, Out, Resp] {
	return &StreamMethod[Req, In, Out, Resp]{
		method: NewMethod[Req, Resp](name, codec),
		in:     partCodec[In]{codec},
		out:    partCodec[Out]{codec},
	}
}

// Name is the method's name.
func (m *StreamMethod[Req, In, Out, Resp]) Name() string { return m.method.name }

// partCodec encodes the parts of one direction: a STRING list of one value, like replies.
type partCodec[Part any] struct{ codec Codec }

// absent reports whether there are no parts.
func (c partCodec[Part]) absent() bool {
	_, is := any((*Part)(nil)).(*None)
	return is
}

func (c partCodec[Part]) decode(payload Payload) (part Part, err error) {
	body, _, err := payload.Next()
	if err == nil {
		err = c.codec.Decode(body, &part)
	}
	return part, err
}

// send gives the encoding of part to fn; bad tells what is wrong if there is none.
func (c partCodec[Part]) send(part Part, bad func(error) error, fn func([]byte) error) error {
	b := bytebufferpool.Get()
	defer bytebufferpool.Put(b)
	payload, err := appendEncoded(b.B[:0], c.codec, &part)
	if err != nil {
		return bad(err)
	}
	b.B = payload
	return fn(payload)
}

// A TypedStream is a Stream with types; what is said there holds here.
type TypedStream[In, Out, Resp any] struct {
	stream  *Stream
	in      partCodec[In]
	out     partCodec[Out]
	outcome func(Payload, error) (Resp, error)
	fail    func(kind, err error) error // makes a MethodError
}

// Call makes a call; it is Client.CallStream with types, and does not wait. A request that cannot be
// encoded is an error of the stream, a *MethodError. What Input of the options says does not matter.
func (m *StreamMethod[Req, In, Out, Resp]) Call(ctx context.Context, client *Client, options StreamOptions, req Req) *TypedStream[In, Out, Resp] {
	options.Input = !m.in.absent()
	s := &TypedStream[In, Out, Resp]{in: m.in, out: m.out, outcome: m.method.outcome, fail: m.method.fail}
	payload, err := m.method.appendRequest(nil, req)
	if err != nil {
		s.stream = failedStream(client, options, err)
	} else {
		s.stream = client.CallStream(ctx, options, payload)
	}
	return s
}

// Parts is Stream.Parts. A part that cannot be decoded is a *MethodError, and cancels the call.
func (s *TypedStream[In, Out, Resp]) Parts() iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var none Out
		for payload, err := range s.stream.Parts() {
			if err != nil {
				_, err = s.outcome(nil, err)
				yield(none, err)
				return
			}
			part, err := s.out.decode(payload)
			if err != nil {
				err = s.fail(ErrBadReply, err)
				s.stream.spoil(err)
				yield(none, err)
				return
			}
			if !yield(part, nil) {
				return
			}
		}
	}
}

// Send is Stream.Send. A part that cannot be encoded is a *MethodError, and nothing is sent.
func (s *TypedStream[In, Out, Resp]) Send(part In) error {
	return s.in.send(part, func(err error) error { return s.fail(ErrBadRequest, err) }, s.stream.Send)
}

// CloseSend is Stream.CloseSend.
func (s *TypedStream[In, Out, Resp]) CloseSend() { s.stream.CloseSend() }

// Cancel is Stream.Cancel.
func (s *TypedStream[In, Out, Resp]) Cancel() { s.stream.Cancel() }

// Reply is Stream.Reply. Beside its errors there is *MethodError.
func (s *TypedStream[In, Out, Resp]) Reply() (Resp, error) { return s.outcome(s.stream.Reply()) }

// failedStream is a Stream that has ended before its call was made.
func failedStream(client *Client, options StreamOptions, err error) *Stream {
	s := &Stream{client: client, options: options, stop: func() bool { return true }}
	s.changed.L = &s.mu
	s.finish(nil, err)
	return s
}
