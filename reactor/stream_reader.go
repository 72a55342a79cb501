package reactor

import "io"

// Reader has the stream's bytes cut into units instead of given to OnData, and
// returns who does it: see Each, Push and Unshift there. Its Feed and End are
// called by the stream, Feed also by whoever has bytes from before the stream. While
// nothing is asked for, the stream does not read, which also means that an EOF is not
// noticed. While the stream is paused no unit is delivered, nor the EOF, though some
// may have been read, except by Drain.
//
// The stream is closed, with that error, when a unit is too long or malformed and
// when the EOF comes in the middle of one (a *PartialError); what is queued for writing is
// dropped then, as by Close. Whoever has something to say first feeds a Reader of its own from
// OnData, and CloseAfterFlush ends the stream. OnEOF is called when the EOF comes
// behind a unit. Of a stream that is closed, or cannot be read any more, the
// reader refuses everything: with io.EOF after the EOF, else with ErrClosed.
func (s *Stream) Reader() *Reader {
	switch {
	case s.HasReader():
		return s.extra.reader
	case s.ended:
		return &Reader{err: io.EOF}
	case s.read != sideOpen || s.lingering():
		return &Reader{err: ErrClosed}
	}
	x := s.extraState()
	r := &Reader{owner: s}
	x.reader = r
	s.holdReader()
	if err := s.setPause(pauseUnwanted, !x.forwards); err != nil {
		s.fail(err)
	}
	return r
}

// HasReader reports whether the stream has a Reader, which gets what is read instead of OnData.
func (s *Stream) HasReader() bool { return s.extra != nil && s.extra.reader != nil }

// feed gives the reader what was read, or another chance.
func (s *Stream) feed(data []byte) {
	r := s.extra.reader
	if r == nil {
		return
	}
	err := r.Feed(data)
	switch {
	case s.closed || s.extra.reader != r || r.busy:
		// It was ended by a function that got a unit, or we are inside of one, and
		// the Feed around this one goes on.
		return
	case err != nil && err != io.EOF: // which is for finishReading
		s.fail(err)
		return
	}
	if err := s.setPause(pauseUnwanted, !r.wanted()); err != nil {
		s.fail(err)
		return
	}
	s.finishReading()
}

// finishReading delivers the EOF behind the last unit.
func (s *Stream) finishReading() {
	x := s.extra
	r := x.reader
	if !x.eofOwed || r.busy {
		return
	}
	err := r.Feed(nil) // what was held for a pause that is over
	if err == nil && (r.held || r.Buffered() > 0 && !r.wanted()) {
		return // paused, or there are bytes before it that somebody may still ask for
	}
	if err == nil {
		err = r.End()
	}
	if err == io.EOF {
		err = nil // ended before, and paused by the function that got the last unit
	}
	if s.closed || x.reader != r || err == nil && r.held {
		return // by a function that got a unit
	}
	x.eofOwed = false
	if err != nil {
		s.fail(err)
		return
	}
	s.deliverEOF()
}

// unitsAsked is called when the reader has been asked for something.
func (s *Stream) unitsAsked() {
	r := s.extra.reader
	if s.extra.forwards {
		return // its time has not come: see uncouple
	}
	if err := s.setPause(pauseUnwanted, !r.wanted()); err != nil {
		s.fail(err)
		return
	}
	if !r.busy && r.wanted() && (r.Buffered() > 0 || r.empty() || s.extra.eofOwed) {
		s.pumpReader()
	}
}

// pumpReader has the reader go on in the deferred step.
func (s *Stream) pumpReader() {
	s.extra.pump = true
	s.deferCallback()
}

// holdReader makes the reader keep units while the stream is paused, and go on
// with them afterwards.
func (s *Stream) holdReader() {
	r := s.extra.reader
	if r == nil {
		return
	}
	held := s.pauses&^pauseUnwanted != 0 && !s.extra.draining
	if r.held && !held && !r.busy {
		s.pumpReader()
	}
	r.held = held
}

// dropReader ends the reader, if there is one, and returns what it held.
func (x *streamExtra) dropReader() (unread []byte) {
	if x.reader != nil {
		unread = x.reader.stop(ErrClosed)
		x.reader = nil
		x.pump = false
	}
	return unread
}
