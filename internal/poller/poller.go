package poller

import (
	"errors"
	"time"
)

// ErrUnsupported is in the errors of Open for a poller that does not exist here,
// and of FD for one that has no descriptor.
var ErrUnsupported = errors.New("poller: not supported on this platform")

// Interest is what is asked of a descriptor: a non-empty set of Read, Write
// and HangUp. The same bits report readiness.
type Interest uint8

// The bits of Interest, one that is only reported, and one that is only asked for.
const (
	Read   Interest = 1 << iota // reading would not block
	Write                       // writing would not block
	HangUp                      // the other side is gone, or an error is pending
	Exited                      // alone: the event is about a process, and FD is its pid
	Edge                        // beside others: rule 14
)

const everything = Read | Write | HangUp

const (
	// The kernel's event array starts small, because a worker that watches two
	// pipes should not pay for a server, and doubles whenever it comes back full.
	minEvents = 32
	maxEvents = 4096
)

// An Event says that a registered descriptor became ready, or that a process
// has exited.
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
	// Add registers a descriptor that is not registered; see rules 10 and 11.
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

// A ProcessPoller is a Poller that reports the exits of processes, too; see
// rule 13.
type ProcessPoller interface {
	Poller
	// AddProcess registers a process. The error is ESRCH if there is none of that
	// number.
	AddProcess(pid int, gen uint32) error
	// RemoveProcess forgets it. One that is not registered is ignored.
	RemoveProcess(pid int)
}

// A KeepingPoller is a Poller that can also block without lending its processor to
// other goroutines.
type KeepingPoller interface {
	Poller
	// WaitKeeping is Wait, but none of the runtime's processors becomes free by it. The timeout is above
	// zero, and short: whoever else needs the processor has it only then.
	WaitKeeping(timeout time.Duration) ([]Event, error)
}
