package child

import (
	"errors"
	"fmt"
)

// Errors of misuse.
var (
	// ErrNoMain: Start was asked for a Worker, but child.Main has not been called
	// in this process. Without it the child would run main again, and so on.
	ErrNoMain = errors.New("child.Main was not called")
	// ErrUnknownWorker: no registry given to Main has that name.
	ErrUnknownWorker = errors.New("no worker of that name is registered")
	// ErrConfig: the Config names neither or both of Worker and Path, or is
	// wrong in another way that the error's text says.
	ErrConfig = errors.New("bad configuration")
	// ErrClaimed: the transport has been opened already.
	ErrClaimed = errors.New("transport is already in use")
	// ErrExited: the process is gone.
	ErrExited = errors.New("process has exited")
)

// Reasons for which a child is put down; they are found in ExitError.Reason.
var (
	// ErrStartTimeout: the child did not complete its handshake in time.
	ErrStartTimeout = errors.New("no handshake within the start timeout")
	// ErrClosedPipe: the child closed a side of its protocol and did not exit.
	ErrClosedPipe = errors.New("closed its protocol pipe and went on running")
)

// Error is what went wrong with one child: the operation, the process (0 before
// there is one), its name and the cause.
type Error struct {
	Op   string
	PID  int
	Name string
	Err  error
}

// Error is like `child: start "resize": spawn /proc/self/exe: no such file or directory`, with the pid
// once there is one.
func (e *Error) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("child: %s %q: %v", e.Op, e.Name, e.Err)
	}
	return fmt.Sprintf("child: %s %q (pid %d): %v", e.Op, e.Name, e.PID, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
