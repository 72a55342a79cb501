package reactor

import (
	"errors"
	"fmt"
	"os"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/wrap"
)

// Errors of misuse and of ending. Errors of the operating system are *OpError.
var (
	// ErrClosed: the loop, stream or watcher has been closed, or the loop's Run
	// was left by a panic.
	ErrClosed = errors.New("reactor: closed")
	// ErrNested: Run, Poll, Close or Shutdown was called while the loop runs,
	// from inside a callback or from another goroutine.
	ErrNested = errors.New("reactor: loop is already running")
	// ErrNothingLeft: RunUntil's condition cannot come true any more, because
	// no referenced watcher is left.
	ErrNothingLeft = errors.New("reactor: no referenced watcher is left")
	// ErrBufferFull: the bytes would not fit in StreamConfig.MaxBuffered. None
	// of them was queued.
	ErrBufferFull = errors.New("reactor: write buffer is full")
	// ErrNotActive: the watcher is stopped.
	ErrNotActive = errors.New("reactor: watcher is not active")
	// ErrPending: not while the watcher's callback is still to come.
	ErrPending = errors.New("reactor: watcher is pending")
	// ErrTimeout: a timeout of a stream has passed, or its CloseAfterFlush could
	// not write everything in time. It is also an os.ErrDeadlineExceeded.
	ErrTimeout = wrap.Error("reactor: i/o timeout", os.ErrDeadlineExceeded)
	// ErrTooLong: a unit of a Reader is longer than its limit.
	ErrTooLong = errors.New("reactor: unit is too long")
	// ErrMalformed: the length before a unit of a Reader is none.
	ErrMalformed = errors.New("reactor: malformed length")
	// ErrInvalid: an argument is out of range.
	ErrInvalid = errors.New("reactor: invalid argument")
	// ErrUnsupported: this system, or the loop's backend, cannot do that.
	ErrUnsupported = poller.ErrUnsupported
)

// OpError is an error of the operating system, with the operation and the
// descriptor it was about. Unwrap gives the cause, usually a syscall.Errno.
type OpError struct {
	Op  string // "watch", "wait", "read", "write", …
	FD  int    // -1 if the operation was not about one descriptor
	Err error
}

// Error is like "reactor: watch fd 7: file exists".
func (e *OpError) Error() string {
	if e.FD < 0 {
		return fmt.Sprintf("reactor: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("reactor: %s fd %d: %v", e.Op, e.FD, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// opError is nil for a nil cause, so that it can wrap a call's result directly.
func opError(op string, fd int, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, FD: fd, Err: err}
}
