package poller

import (
	"errors"
	"time"
)

// ErrUnsupported is returned by Open where no poller exists for the platform.
var ErrUnsupported = errors.New("poller: not supported on this platform")

// Interest is what is asked of a descriptor: a non-empty set of Read, Write
// and HangUp. The same bits report readiness.
type Interest uint8

// The bits of Interest.
const (
	Read   Interest = 1 << iota // reading would not block
	Write                       // writing would not block
	HangUp                      // the other side is gone, or an error is pending
)

// An Event says that a registered descriptor became ready.
type Event struct {
	FD    int32
	Gen   uint32
	Ready Interest
}

// A Poller waits for readiness; the package documentation is its contract.
type Poller interface {
	// Name is the mechanism: "epoll", "kqueue", "poll".
	Name() string
	// FD is readable while events are waiting; see rule 8.
	FD() (int, error)
	// Add registers a descriptor that is not registered.
	Add(fd int, gen uint32, interest Interest) error
	// Modify replaces the interest of a registered descriptor.
	Modify(fd int, gen uint32, interest Interest) error
	// Remove forgets a registered descriptor. It comes before close(2), always:
	// a duplicate in a child would keep the kernel's registration alive.
	Remove(fd int) error
	// Wait returns what is ready, waiting at most timeout; see rules 5 and 6.
	Wait(timeout time.Duration) ([]Event, error)
	// Wake ends the current or the next Wait. Goroutine-safe.
	Wake() error
	// Rebuild starts over with an empty set; see rule 9.
	Rebuild() error
	// Close releases the poller's own descriptors.
	Close() error
}
