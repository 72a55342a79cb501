//go:build !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package kevent

// The types of Filter and Flags.
type (
	Filter = int16
	Flags  = uint16
)

// An Event is a change or a report. There is no kqueue here; a simulated one
// takes this.
type Event struct {
	Ident  uintptr
	Filter Filter
	Flags  Flags
	Fflags uint32
	Data   int64
	Udata  [1]uintptr
}
