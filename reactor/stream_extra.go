package reactor

import (
	"fmt"
	"io"
	"slices"
)

// streamExtra is what only some streams need, so that an idle connection does
// not pay for it. Timeouts, a Reader, coupling and lingering make it.
type streamExtra struct {
	times     streamTimes
	reader    *Reader
	pump      bool // the reader may go on with what it holds
	draining  bool // inside Drain: the reader delivers, paused or not
	eofOwed   bool // the EOF has been read, but not all units before it are delivered
	lingering bool // CloseAfterFlush

	sink     *Stream   // whose congestion pauses us
	forwards bool      // what we read is written to sink
	sources  []*Stream // whose sink we are
}

// extraState returns the state, made at first use.
func (s *Stream) extraState() *streamExtra {
	if s.extra == nil {
		s.extra = &streamExtra{}
		s.extra.times.waiting = s.blocked
	}
	return s.extra
}

// divert takes what was read if it does not go to OnData.
func (x *streamExtra) divert(s *Stream, data []byte) bool {
	x.times.haveRead(s.loop)
	switch {
	case x.lingering:
	case x.forwards:
		s.forward(data)
	case x.reader != nil:
		s.feed(data)
	default:
		return false
	}
	return true
}

// divertEOF takes the EOF if it does not go to OnEOF at once.
func (x *streamExtra) divertEOF(s *Stream) bool {
	switch {
	case x.forwards:
		s.ended = true
		if x.reader != nil {
			x.reader.stop(io.EOF) // made meanwhile: nothing was for it
		}
		s.forwardEOF()
	case x.reader != nil:
		x.eofOwed = true
		s.finishReading()
	default:
		return false
	}
	return true
}

// runExtra does what had to wait for the deferred step.
func (s *Stream) runExtra() {
	x := s.extra
	if x.times.due {
		s.runTimeouts()
	}
	pump := x.pump
	x.pump = false
	if pump {
		s.goOnReading()
	}
}

// goOnReading has the reader deliver what it holds and may deliver.
func (s *Stream) goOnReading() {
	if x := s.extra; !x.forwards && (s.read == sideOpen || x.eofOwed) {
		s.feed(nil)
	}
}

// owesEOF reports whether the EOF has been read, but not yet been delivered.
func (s *Stream) owesEOF() bool { return s.extra != nil && s.extra.eofOwed }

// readAbandoned ends what wanted to read more, after CloseRead.
func (s *Stream) readAbandoned() {
	x := s.extra
	x.eofOwed = false
	x.dropReader()
	if x.forwards {
		s.forwardEOF()
	}
}

// endExtra ends everything, after a close.
func (s *Stream) endExtra() {
	x := s.extra
	x.times.stop()
	x.eofOwed = false
	x.dropReader()
	sink, forwards := x.sink, x.forwards
	s.uncouple()
	if forwards {
		sink.fail(s.err)
	}
	s.endSources()
}

// verifyExtra walks the invariants of a listed stream beyond its queue.
func (s *Stream) verifyExtra() error {
	if s.read == sideOpen && s.reader.active != (s.pauses == 0) {
		return fmt.Errorf("reactor: stream of fd %d: paused for %b, reading %v", s.reader.fd, s.pauses, s.reader.active)
	}
	x := s.extra
	if x == nil {
		return nil
	}
	if to := x.sink; to != nil {
		if to.closed || !slices.Contains(to.extra.sources, s) {
			return fmt.Errorf("reactor: stream of fd %d is coupled to one that does not know it", s.reader.fd)
		}
		if (s.pauses&pauseCongested != 0) != to.high {
			return fmt.Errorf("reactor: stream of fd %d: paused for %b, its sink's congestion is %v", s.reader.fd, s.pauses, to.high)
		}
	}
	for _, from := range x.sources {
		if from.closed || from.extra.sink != s {
			return fmt.Errorf("reactor: stream of fd %d has a source that is coupled elsewhere", s.writer.fd)
		}
	}
	if next := s.nextDeadline(); next < never && !x.times.due && (x.times.timer == nil || !x.times.timer.Active() || x.times.armed > next) {
		return fmt.Errorf("reactor: stream of fd %d has forgotten a timeout", s.reader.fd)
	}
	return nil
}
