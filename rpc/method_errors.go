package rpc

import (
	"errors"
	"fmt"
)

// What a typed call can fail with, beside what any call can: found by errors.Is in
// a *MethodError.
var (
	// ErrUnknownMethod: the other side has no method of that name.
	ErrUnknownMethod = errors.New("unknown method")
	// ErrCodecMismatch: the other side has the method with another codec.
	ErrCodecMismatch = errors.New("codec mismatch")
	// ErrBadRequest: the request cannot be encoded here, or not decoded there.
	ErrBadRequest = errors.New("bad request")
	// ErrBadReply: the reply cannot be encoded there, or not decoded here.
	ErrBadReply = errors.New("bad reply")
)

// The kinds of RemoteError that a Mux sends of itself, without a handler.
const (
	KindUnknownMethod = "unknown method"
	KindCodecMismatch = "codec mismatch"
	KindBadRequest    = "bad request"
	KindBadReply      = "bad reply"
)

// MethodError is how a typed call ends if the two sides do not agree on it. Unless
// Kind is ErrBadReply the handler was not called; that of a StreamMethod may have been, if a part
// of the request is what could not be encoded or decoded.
type MethodError struct {
	Method string // its name
	Kind   error  // ErrUnknownMethod, ErrCodecMismatch, ErrBadRequest or ErrBadReply
	Err    error  // the codec's error, or the *RemoteError that came
}

// Error is like `rpc: method "resize": bad request: unexpected end of JSON input`.
func (e *MethodError) Error() string {
	detail := e.Err.Error()
	var remote *RemoteError
	if errors.As(e.Err, &remote) {
		detail = remote.Message
	}
	return fmt.Sprintf("rpc: method %q: %v: %s", e.Method, e.Kind, detail)
}

// Unwrap returns Kind and Err.
func (e *MethodError) Unwrap() []error { return []error{e.Kind, e.Err} }

func (m *Method[Req, Resp]) fail(kind, err error) error {
	return &MethodError{Method: m.name, Kind: kind, Err: err}
}

// translate makes a MethodError of what a Mux has refused.
func (m *Method[Req, Resp]) translate(err error) error {
	remote, ok := err.(*RemoteError)
	if !ok {
		return err
	}
	switch remote.Kind {
	case KindUnknownMethod:
		return m.fail(ErrUnknownMethod, err)
	case KindCodecMismatch:
		return m.fail(ErrCodecMismatch, err)
	case KindBadRequest:
		return m.fail(ErrBadRequest, err)
	case KindBadReply:
		return m.fail(ErrBadReply, err)
	}
	return err
}

// refusal is what a Mux answers of itself. Its kind travels in the error reply;
// an error that a handler has from a call of its own does not look like one.
type refusal struct{ kind, message string }

// Error implements error.
func (r *refusal) Error() string { return r.message }

func refuse(kind, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}
