package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/evfork/evfork/reactor"
)

// Errors of the calls that were made; no callback follows them.
var (
	// ErrFull: MaxInFlight or MaxBuffered is reached, or the child has asked for no calls for
	// now; WaitReady tells when to go on.
	ErrFull = errors.New("rpc: too many calls in flight")
	// ErrShutdown: the client has been told to shut down. In a child: the parent has closed its side.
	ErrShutdown = errors.New("rpc: client is shut down")
	// ErrClosed: the loop has ended.
	ErrClosed = reactor.ErrClosed
	// ErrTooLarge: the payload is longer than MaxFrame.
	ErrTooLarge = errors.New("rpc: payload exceeds the frame limit")
	// ErrDone: a call was answered a second time.
	ErrDone = errors.New("rpc: call has already been answered")
)

// How calls end of which the caller has had enough. The child may have begun them,
// and may go on with them.
var (
	// ErrDeadline: the call's deadline has passed. It is context.DeadlineExceeded, too.
	ErrDeadline error = &endError{"rpc: the call's deadline has passed", context.DeadlineExceeded}
	// ErrCanceled: the call was cancelled. It is context.Canceled, too.
	ErrCanceled error = &endError{"rpc: the call was cancelled", context.Canceled}
)

// endError is an error that is one of package context's.
type endError struct {
	text string
	is   error
}

// Error implements error.
func (e *endError) Error() string { return e.text }

// Unwrap returns package context's error.
func (e *endError) Unwrap() error { return e.is }

// ErrUnresponsive is why a child is put down that has not answered a call within
// Config.AbandonTimeout after that was cancelled or its deadline had passed.
var ErrUnresponsive = errors.New("rpc: the child has not answered a call that was given up long ago")

// LostError is how calls end whose child went away, and those of a child whose parent did. Unwrap gives the cause: for
// children a *child.ExitError with exit code, signal and the end of stderr, or
// ErrClosed if the loop was closed.
type LostError struct {
	Cause error
	// Started is false if the child has certainly not read the whole call, so
	// that it is safe to make it again. Else it may have been started. A child
	// cannot tell what its parent has read: it is true.
	Started bool
}

// Error says whether the call may have been started, and why it was lost.
func (e *LostError) Error() string {
	if e.Started {
		return fmt.Sprintf("rpc: call lost, and may have been started: %v", e.Cause)
	}
	return fmt.Sprintf("rpc: call lost before it was started: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// RemoteError is how a call ends whose handler returned an error or panicked.
// errors.Is finds the sentinels that the handler's error was and that both sides
// have in their Sentinels; for the kinds KindDeadline and KindCanceled also
// ErrDeadline and ErrCanceled, and package context's errors.
type RemoteError struct {
	Message string
	Kind    string // one of those below, of a Mux's refusals, or another of another implementation
	Stack   string // of a panic

	sentinels error // all of them, joined
}

// The kinds of RemoteError, beside those of a Mux. The last two are also those of
// calls that the child dropped without beginning them.
const (
	KindError    = "error"
	KindPanic    = "panic"
	KindDeadline = "deadline" // the error is context.DeadlineExceeded
	KindCanceled = "canceled" // the error is context.Canceled
)

// Is makes errors.Is find the sentinels.
func (e *RemoteError) Is(target error) bool {
	switch e.Kind {
	case KindDeadline:
		if target == ErrDeadline || target == context.DeadlineExceeded {
			return true
		}
	case KindCanceled:
		if target == ErrCanceled || target == context.Canceled {
			return true
		}
	}
	return errors.Is(e.sentinels, target)
}

// Error has the message and the kind, not the stack.
func (e *RemoteError) Error() string {
	if e.Kind == KindPanic {
		return "rpc: handler panicked: " + e.Message
	}
	return "rpc: handler failed: " + e.Message
}

// ProtocolError is what the other side did wrong on the wire.
type ProtocolError struct {
	What string
	// Text is the beginning of what the other side sent, if that was readable
	// text where a frame should have begun: it printed to its protocol.
	Text string
}

// Error quotes the text, if there is one: that says more than any field.
func (e *ProtocolError) Error() string {
	if e.Text != "" {
		return fmt.Sprintf("rpc: child wrote text to its protocol stream: %q", e.Text)
	}
	return "rpc: protocol violation: " + e.What
}

func violation(format string, args ...any) *ProtocolError {
	return &ProtocolError{What: fmt.Sprintf(format, args...)}
}
