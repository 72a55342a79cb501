package child

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Asked says who asked for a process's end.
type Asked uint8

// Who may have asked.
const (
	AskedByNobody Asked = iota // it ended by itself, or was killed from elsewhere
	AskedByStop                // Process.Stop, or Shutdown of the loop
	AskedByKill                // Process.Kill
	AskedByAbort               // it was put down for what it did: see ExitError.Reason
	AskedByClose               // Close of the loop
)

// ExitState is how a process ended.
type ExitState struct {
	// Known is false if somebody else reaped the process, or if the loop failed or was
	// closed first: then Code, Signal and Rusage are not known.
	Known bool
	// Code is the exit code, or -1 if a signal ended the process.
	Code int
	// Signal is the signal that ended the process, or 0.
	Signal syscall.Signal
	// Core reports whether a core was dumped.
	Core bool
	// Rusage is what the process and its reaped children used.
	Rusage syscall.Rusage
	// Stderr is the end of what the process wrote to stderr. If that is not all that a Go program
	// wrote when it crashed, the beginning of this, which has the cause, stands before it.
	Stderr []byte
	// Lifetime is the time from the start to the reaping.
	Lifetime time.Duration
	// Asked says who asked for the end.
	Asked Asked
}

// Success reports whether the process exited with code 0.
func (s ExitState) Success() bool { return s.Known && s.Code == 0 }

// String is "exited with code 3" or "killed by signal 9 (killed)".
func (s ExitState) String() string {
	switch {
	case !s.Known:
		return "ended in an unknown way, reaped elsewhere or later"
	case s.Signal != 0 && s.Core:
		return fmt.Sprintf("killed by signal %d (%v), core dumped", int(s.Signal), s.Signal)
	case s.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(s.Signal), s.Signal)
	default:
		return fmt.Sprintf("exited with code %d", s.Code)
	}
}

// ExitError says that a child is gone, and all that is known of why.
type ExitError struct {
	Name  string
	PID   int
	State ExitState
	// Reason is why the child was put down, if it was: a violation of the
	// protocol, ErrStartTimeout, ErrClosedPipe, or what the protocol's stream has failed with.
	// Unwrap returns it.
	Reason error
}

// Error is like `child "resize" (pid 7) killed by signal 9 (killed)`, with the
// reason before it and the end of stderr behind it, where there are any; of a
// Go program that crashed it is the beginning of what that wrote then.
func (e *ExitError) Error() string {
	if tail := shortStderr(e.State); tail != "" {
		return e.Brief() + "; stderr: " + tail
	}
	return e.Brief()
}

// Brief is Error without the end of stderr: a line for a log that has what the child wrote already.
func (e *ExitError) Brief() string {
	reason := ""
	if e.Reason != nil {
		reason = fmt.Sprintf("was put down: %v; ", e.Reason)
	}
	return fmt.Sprintf("child %q (pid %d) %s%v", e.Name, e.PID, reason, e.State)
}

// Unwrap returns the reason.
func (e *ExitError) Unwrap() error { return e.Reason }

// Clean reports whether the child ended in an orderly way: with code 0 and not
// put down. Package rpc asks for it.
func (e *ExitError) Clean() bool { return e.State.Success() && e.Reason == nil }

// shortStderr is a piece short enough for an error's text; Stderr has it all.
func shortStderr(s ExitState) string {
	const most = 400
	text := strings.TrimSpace(string(s.Stderr))
	if len(text) <= most {
		return text
	}
	if at := crashIn(text); s.maybeCrashed() && at >= 0 && len(text)-at > most {
		return text[at:at+most] + "…"
	}
	return "…" + text[len(text)-most:]
}

// maybeCrashed reports whether the process ended as Go programs do that crash:
// with code 2, or with GOTRACEBACK=crash by SIGABRT.
func (s ExitState) maybeCrashed() bool { return s.Code == 2 || s.Signal == syscall.SIGABRT }

// exitState translates what wait4 said.
func exitState(status syscall.WaitStatus, usage *syscall.Rusage) ExitState {
	s := ExitState{Known: true, Code: status.ExitStatus(), Rusage: *usage}
	if status.Signaled() {
		s.Code, s.Signal, s.Core = -1, status.Signal(), status.CoreDump()
	}
	return s
}
