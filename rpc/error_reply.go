package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// An error reply is a STRING list of message, kind and stack, and then the names
// of sentinels.

// encodeRemoteError is the error reply of a handler's error. If that panics when it is asked for its
// text, as a nil pointer may, the panic is the error: here nobody would recover it.
func encodeRemoteError(err error, sentinels Sentinels, limit int) (payload Payload) {
	defer func() {
		if r := recover(); r != nil {
			payload = encodeError(recovered(r), sentinels, limit)
		}
	}()
	return encodeError(err, sentinels, limit)
}

// encodeError cuts what does not fit in a frame, the stack first.
func encodeError(err error, sentinels Sentinels, limit int) Payload {
	stack := ""
	var p *panicError
	if errors.As(err, &p) {
		err, stack = p, string(p.stack)
	}
	message, kind, names := err.Error(), kindOf(err), sentinels.namesOf(err)
	encode := func() Payload { return AppendStrings(Strings(message, kind, stack), names...) }
	payload := encode()
	for _, s := range []*string{&stack, &message} {
		if over := len(payload) - limit; over > 0 {
			*s = (*s)[:max(len(*s)-over, 0)]
			payload = encode()
		}
	}
	if len(payload) > limit {
		names = nil
		payload = encode()
	}
	return payload
}

// kindOf is the kind of an error, for a RemoteError.
func kindOf(err error) string {
	_, panicked := err.(*panicError)
	refused, isRefusal := err.(*refusal)
	switch {
	case isRefusal:
		return refused.kind
	case panicked:
		return KindPanic
	case errors.Is(err, context.DeadlineExceeded):
		return KindDeadline
	case errors.Is(err, context.Canceled):
		return KindCanceled
	default:
		return KindError
	}
}

// decodeRemoteError takes no more memory than was received, whatever that is.
func decodeRemoteError(payload Payload, sentinels Sentinels) *RemoteError {
	var fields [3][]byte
	rest, err := payload, error(nil)
	for i := range fields {
		if err == nil {
			fields[i], rest, err = rest.Next()
		}
	}
	var named error
	if err == nil {
		named, err = sentinels.errorOf(rest)
	}
	if err != nil {
		return &RemoteError{Message: fmt.Sprintf("unreadable error reply %q", payload[:min(len(payload), quoteLimit)]), Kind: KindError}
	}
	return &RemoteError{Message: string(fields[0]), Kind: string(fields[1]), Stack: string(fields[2]), sentinels: named}
}

// panicError carries a handler's panic to its caller.
type panicError struct {
	value any
	stack []byte
}

// Error is the text of the panic's value, by package fmt: the value's own Error or String may be
// called.
func (p *panicError) Error() string { return fmt.Sprint(p.value) }

// recovered turns a recovered panic into an error; call it where it is recovered.
func recovered(value any) error { return &panicError{value, debug.Stack()} }

// errNoReturn is the answer of a handler that has left otherwise than by returning, or by a panic with a value.
var errNoReturn = errors.New("rpc: the handler has called runtime.Goexit, or panicked with nil")

// notReturned is the answer of a handler that has not returned; call it where its panic is recovered. The value is nil after
// runtime.Goexit, which goes on, and after panic(nil), which GODEBUG=panicnil=1 permits.
func notReturned(value any) error {
	if value == nil {
		return errNoReturn
	}
	return recovered(value)
}
