package rpctest

import (
	"slices"
	"time"
)

// Faults is what is wrong with one direction of a Transport. The zero value is
// nothing: bytes are passed on as they come.
type Faults struct {
	// Piece is the most that is passed on at once, in bytes; one piece is written in an
	// iteration of the loop. 0: 64 KiB. A reader on the same loop gets every piece by
	// itself; one on a goroutine or in a process may find several together.
	Piece int
	// RandomPieces draws the size of each piece between 1 and Piece.
	RandomPieces bool
	// Delay is how long bytes are held back, from the first of them; then all that
	// have come meanwhile are passed on together, if Piece allows it: a delay joins
	// what was written apart. 0: none.
	Delay time.Duration
	// RandomDelay draws each delay between 0 and Delay.
	RandomDelay bool
	// List is what happens at which byte. It need not be sorted; faults at the same
	// byte happen in the order of the list. Those behind a HalfClose, a Kill or an Exit
	// of the same direction do not happen.
	List []Fault
}

// Fault is one thing that goes wrong.
type Fault struct {
	// At is after how many bytes of the direction, counted as they were sent, it
	// happens. 0: before the first.
	At int64
	// Do is what happens.
	Do Action
	// N is a number of bytes for Repeat and Drop, none if it is negative, and the exit code for Exit.
	N int
	// Data is what Insert inserts. It is not copied: leave it as it is.
	Data []byte
}

// bytes is N as a number of bytes.
func (f *Fault) bytes() int { return max(f.N, 0) }

// Action is what a Fault does.
type Action uint8

// The actions.
const (
	// Insert passes Data on, which the other side did not send.
	Insert Action = iota
	// Repeat passes the last N bytes on again, or as many as there were. Bytes that
	// were inserted or repeated are not repeated.
	Repeat
	// Drop loses the next N bytes.
	Drop
	// Stall passes nothing on any more, and reads nothing: the pipe fills. Resume
	// ends it.
	Stall
	// HalfClose ends the direction: its reader finds an EOF, its writer an EPIPE.
	HalfClose
	// Kill is Transport.Kill.
	Kill
	// Exit is Transport.Exit with the code N.
	Exit
)

// sorted is a copy of the list in the order in which it happens.
func (f *Faults) sorted() []Fault {
	list := slices.Clone(f.List)
	slices.SortStableFunc(list, func(a, b Fault) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
	return list
}

// memory is how many bytes the list may want to repeat.
func (f *Faults) memory() (n int) {
	for _, fault := range f.List {
		if fault.Do == Repeat {
			n = max(n, fault.N)
		}
	}
	return n
}
