package poller

import "github.com/evfork/evfork/internal/poller/kevent"

// A mode is how a filter is registered. To change between level and edge a
// filter is deleted and added again: adding it over itself keeps its EV_CLEAR.
type mode uint8

const (
	off   mode = iota
	level      // the condition is reported as long as it lasts
	edge       // EV_CLEAR, and only an EV_EOF counts
)

// The filters of a descriptor, as indices.
const (
	readFilter = iota
	writeFilter
	filters
)

// kqueueReg is the registration of one descriptor, and what the kernel has of it.
type kqueueReg struct {
	interest Interest // 0: not registered
	socket   bool
	writeEnd bool // of a pipe, where one goes one way
	dirty    bool // in kqueue.dirty
	hung     bool // in kqueue.hung
	have     [filters]mode
	gen      uint32
	haveGen  uint32 // with which the filters were added
	at       int32  // where its event is, if it is there: see merge
}

// want is which filters an interest needs.
//
// A hang-up is an EV_EOF, and needs a filter that tells of it but not of the rest:
// one with EV_CLEAR, whose other reports are dropped. On a socket that is the read
// filter, as the end of a connection ends reading. On a pipe it is both: when the
// last reader closes, some systems tell the write end's write filter, and some
// its read filter, though there is nothing to read (Go's runtime knows this, too).
// For the same reason both are there on a write end whatever is asked of it.
func (r *kqueueReg) want() (modes [filters]mode) {
	if r.interest == 0 {
		return modes
	}
	if r.interest&Write != 0 {
		modes[writeFilter] = level
	} else if !r.socket && (r.interest == HangUp || r.writeEnd) {
		modes[writeFilter] = edge
	}
	if r.interest&Read != 0 {
		modes[readFilter] = level
	} else if !r.socket || r.interest&HangUp != 0 {
		modes[readFilter] = edge
	}
	return modes
}

// changes appends what tells the kernel the difference between what it has and
// what is wanted of one filter.
func (r *kqueueReg) changes(list []kevent.Event, fd int32, filter int, want mode) []kevent.Event {
	have := r.have[filter]
	if have == want && (want == off || r.haveGen == r.gen) {
		return list
	}
	change := kevent.Event{Ident: uintptr(fd), Filter: kevent.EVFILT_READ}
	if filter == writeFilter {
		change.Filter = kevent.EVFILT_WRITE
	}
	if have != off && have != want {
		change.Flags = kevent.EV_DELETE
		list = append(list, change)
	}
	if want != off {
		// Some versions of macOS keep a filter disabled when it is added again
		// without EV_ENABLE (libev 4.00).
		change.Flags = kevent.EV_ADD | kevent.EV_ENABLE
		if want == edge {
			change.Flags |= kevent.EV_CLEAR
		}
		change.Udata[0] = uintptr(r.gen)
		list = append(list, change)
	}
	return list
}
