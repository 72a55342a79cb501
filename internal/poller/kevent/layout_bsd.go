//go:build darwin || dragonfly || freebsd || openbsd

package kevent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The types of Filter and Flags.
type (
	Filter = int16
	Flags  = uint16
)

// An Event is a change or a report, with the layout of the system's struct
// kevent.
type Event struct {
	Ident  uintptr
	Filter Filter
	Flags  Flags
	Fflags uint32
	_      [unsafe.Offsetof(unix.Kevent_t{}.Data) - unsafe.Sizeof(uintptr(0)) - 8]byte
	Data   int64
	// Udata[0] is the user data. What may stand behind it is FreeBSD's ext, and
	// padding on 32-bit ARM.
	Udata [(unsafe.Sizeof(unix.Kevent_t{}) - unsafe.Offsetof(unix.Kevent_t{}.Udata)) / unsafe.Sizeof(uintptr(0))]uintptr
}
