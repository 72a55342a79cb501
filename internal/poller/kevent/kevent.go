// Package kevent is the seam between the kqueue poller and a kernel: struct
// kevent with integer user data, its constants, and kevent(2) as an interface.
//
// x/sys has a struct of its own, whose user data is a *byte on most systems. An
// integer kept in such a field, in memory that the garbage collector scans, is
// taken for a pointer: a generation of 192 in the upper half of the word is where
// Go's heap begins on amd64. So ours is a uintptr, and the kernel's files cast it.
//
// The seam is also what lets the poller's logic compile and run where there is
// no kqueue, on the simulated kernel of package kqsim.
package kevent

import "golang.org/x/sys/unix"

// What all systems agree on.
const (
	EV_ADD      = 0x0001 // make a registration, or replace the user data of one
	EV_DELETE   = 0x0002
	EV_ENABLE   = 0x0004
	EV_DISABLE  = 0x0008
	EV_ONESHOT  = 0x0010 // delete after the first report
	EV_CLEAR    = 0x0020 // report activity, not state: an edge
	EV_RECEIPT  = 0x0040 // answer the change with an EV_ERROR, even of 0
	EV_DISPATCH = 0x0080 // disable after a report
	EV_ERROR    = 0x4000 // Data is an errno
	EV_EOF      = 0x8000 // Fflags is the error of a socket

	NOTE_EXIT    = 0x80000000 // EVFILT_PROC
	NOTE_TRIGGER = 0x01000000 // EVFILT_USER
)

// A Queue is one kqueue.
type Queue interface {
	// Kevent is kevent(2): it applies the changes in order, then waits for events
	// unless there is no room for any. A nil timeout waits for ever. EINTR
	// means that the changes have been applied. Without events to fetch it may be
	// called while another goroutine is inside.
	Kevent(changes, events []Event, timeout *unix.Timespec) (int, error)
	// FD is the queue's own descriptor, readable while an event waits.
	FD() int
	// Disconnected reports whether a socket has lost its peer: EV_EOF does not
	// say whether that, or a shutdown of one direction by either side, was meant.
	Disconnected(fd int) bool
	Close() error
}
