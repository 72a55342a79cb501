package kevent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The types of Filter and Flags: NetBSD's are wider than everybody else's.
type (
	Filter = uint32
	Flags  = uint32
)

// An Event is a change or a report, with the layout of the system's struct
// kevent.
type Event struct {
	Ident  uintptr
	Filter Filter
	Flags  Flags
	Fflags uint32
	_      [unsafe.Offsetof(unix.Kevent_t{}.Data) - unsafe.Sizeof(uintptr(0)) - 12]byte
	Data   int64
	// Udata[0] is the user data; what may stand behind it is padding.
	Udata [(unsafe.Sizeof(unix.Kevent_t{}) - unsafe.Offsetof(unix.Kevent_t{}.Udata)) / unsafe.Sizeof(uintptr(0))]uintptr
}
