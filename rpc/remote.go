package rpc

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// An error reply is a STRING list of message, kind and stack. More values may
// follow in later versions.

// encodeRemoteError cuts what does not fit in a frame, the stack first.
func encodeRemoteError(err error, limit int) Payload {
	message, kind, stack := err.Error(), KindError, ""
	var p *panicError
	if errors.As(err, &p) {
		message, kind, stack = p.Error(), KindPanic, string(p.stack)
	}
	if r, ok := err.(*refusal); ok {
		kind = r.kind
	}
	payload := Strings(message, kind, stack)
	for _, s := range []*string{&stack, &message} {
		if over := len(payload) - limit; over > 0 {
			*s = (*s)[:max(len(*s)-over, 0)]
			payload = Strings(message, kind, stack)
		}
	}
	return payload
}

func decodeRemoteError(payload Payload) *RemoteError {
	values, err := payload.Strings()
	if err != nil || len(values) < 3 {
		return &RemoteError{Message: fmt.Sprintf("unreadable error reply %q", payload), Kind: KindError}
	}
	return &RemoteError{Message: values[0], Kind: values[1], Stack: values[2]}
}

// panicError carries a handler's panic to its caller.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprint(p.value) }

// recovered turns a recovered panic into an error; call it where it is recovered.
func recovered(value any) error { return &panicError{value, debug.Stack()} }

// isClean reports whether a transport's cause was an orderly end.
func isClean(cause error) bool {
	var c interface{ Clean() bool }
	return errors.As(cause, &c) && c.Clean()
}
