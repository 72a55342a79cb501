package rpc

import (
	"sync"
	"sync/atomic"
)

// A child reads on while it has calls to the parent open: their answers come behind calls
// of the parent, and its handlers may be waiting for them. When more than maxBacklog
// bytes of calls wait, it asks the parent to hold others back; so what it has to keep is
// bounded by what the parent has sent already, and queued (Config.MaxBuffered).
type holdBack struct {
	want atomic.Bool // set in the order in which the backlog changes
	mu   sync.Mutex
	told bool
}

// holdBelow is when the parent is asked to go on.
const holdBelow = maxBacklog / 2

// tellHold has the parent know what is wanted.
func (s *Server) tellHold() error {
	h := &s.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	want := h.want.Load()
	if want == h.told {
		return nil
	}
	h.told = want
	id := uint32(holdOff)
	if want {
		id = holdOn
	}
	return s.send(kindHold.word(id), nil, true)
}

// updateHold decides what is wanted while so many bytes of calls wait, and reports whether
// that has changed: then tellHold is to be called.
func (s *Server) updateHold(waiting int) (changed bool) {
	switch want := s.hold.want.Load(); {
	case !want && waiting >= maxBacklog && s.mustReadOn(), want && waiting < holdBelow:
		s.hold.want.Store(!want)
		return true
	}
	return false
}

// mustReadOn reports whether handlers may be waiting for what comes behind other calls.
func (s *Server) mustReadOn() bool { return s.partsTable.open.Load() > 0 || s.upcalls.anyOpen() }
