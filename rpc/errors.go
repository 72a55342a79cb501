package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/evfork/evfork/reactor"
)

// What a function returns that has done nothing: the call was not made, the answer, event or part
// not sent. No callback follows.
var (
	// ErrFull: there is no room now. Of a call: MaxInFlight or MaxBuffered is reached, or the child
	// has asked for no calls for now; Client.WaitReady tells when to go on. Of what a child sends:
	// its parent does not read, or takes no more calls; ServerConfig.OnDrain tells. Of a part: the
	// other side grants no more; RoomReceiver and Done.OnRoom tell.
	ErrFull = errors.New("rpc: no room for more now")
	// ErrShutdown: the client has been told to shut down, and its child is not gone; afterwards a *LostError says
	// how that has ended. In a child: the parent has closed its side.
	ErrShutdown = errors.New("rpc: client is shut down")
	// ErrClosed: the loop has ended.
	ErrClosed = reactor.ErrClosed
	// ErrTooLarge: the payload is longer than MaxFrame, or than MaxBuffered.
	ErrTooLarge = errors.New("rpc: payload exceeds the frame limit")
	// ErrDone: the call has been answered before, or has ended.
	ErrDone = errors.New("rpc: call has already been answered")
)

// ErrNoStreams: the other side has no streamed calls: it speaks an AnyEvent wire, or has
// not named the feature in its hello.
var ErrNoStreams = errors.New("rpc: the other side has no streamed calls")

// ErrNoInput: no part of the request can be sent: the call was made without Input, or
// its input has been ended.
var ErrNoInput = errors.New("rpc: the call takes no parts of its request")

// ErrNoParts: the other side takes no parts of replies: it speaks an AnyEvent wire, has
// not named the feature in its hello, or is a child that has called its parent.
var ErrNoParts = errors.New("rpc: the caller takes no parts of its reply")

// ErrNoCalls: the other side takes no calls of its child: its Config.OnCall is not
// set, or it speaks an AnyEvent wire. Or the call was made where none can be made: see
// CallParent and Server.GoParent.
var ErrNoCalls = errors.New("rpc: the parent takes no calls")

// How calls end that their caller has given up. The child may have begun them,
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

// LostError is how a call ends whose child went away, or, if a child made it, whose parent did.
type LostError struct {
	// Cause is why: for a child that is a process a *child.ExitError, with exit code, signal and
	// the end of stderr, or ErrClosed if the loop was closed; for a parent an ErrShutdown, if
	// nothing else is known. Of a call that is refused before the child's end is known, it is why
	// nothing can be sent.
	Cause error
	// Started is false if the child has certainly not read the whole call, so
	// that it is safe to make it again. Else it may have been started. It is always
	// true of a child's call: what its parent has read is not known.
	Started bool

	idle bool // no call is lost: it is only the child's end, for OnError
}

// Error says whether the call may have been started, and why it was lost.
func (e *LostError) Error() string {
	switch {
	case e.idle:
		return fmt.Sprintf("rpc: child lost, and no call with it: %v", e.Cause)
	case e.Started:
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
	Kind    string // one of those below or of a Mux; other implementations may have others
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

// Error has the message, and the kind if that is not one of a handler's errors; not the stack.
func (e *RemoteError) Error() string {
	switch e.Kind {
	case KindError, KindDeadline, KindCanceled, "":
		return "rpc: handler failed: " + e.Message
	case KindPanic:
		return "rpc: handler panicked: " + e.Message
	}
	return "rpc: " + e.Kind + ": " + e.Message // a Mux's: no handler was called, or none has failed
}

// ProtocolError is what the other side did wrong on the wire.
type ProtocolError struct {
	What string
	// Text is the beginning of what the other side sent, if that was readable
	// text where a frame should have begun: it printed to its protocol.
	Text string
}

// Error quotes the text, if there is one: that says more than what is wrong with the frame.
func (e *ProtocolError) Error() string {
	if e.Text != "" {
		return fmt.Sprintf("rpc: the other side wrote text to its protocol stream: %q", e.Text)
	}
	return "rpc: protocol violation: " + e.What
}

func violation(format string, args ...any) *ProtocolError {
	return &ProtocolError{What: fmt.Sprintf(format, args...)}
}

// quoteLimit is how much of what a program printed into its protocol is quoted.
const quoteLimit = 64

// printable returns the beginning of data if a person would read its first
// header's worth as text, and else "". A header that is text is no header:
// its length would be half a gigabyte at least.
func printable(data []byte) string {
	if len(data) < headerSize {
		return ""
	}
	for _, b := range data[:headerSize] {
		if (b < ' ' || b > '~') && b != '\n' && b != '\t' && b != '\r' {
			return ""
		}
	}
	return string(data[:min(len(data), quoteLimit)])
}
