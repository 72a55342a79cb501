package reactor

import "slices"

// PauseWhileCongested couples reading to another stream's writing: s is paused
// while to is Congested, whatever is written to it from wherever; to may be s
// itself, as for a server that reads no requests while its answers are not read. It is
// independent of Pause: the stream reads when neither holds it. A stream is
// coupled to one other at most; nil undoes it. It also ends when either is
// closed. Both belong to the same loop, or ErrInvalid is returned; ErrClosed if
// either is closed.
func (s *Stream) PauseWhileCongested(to *Stream) error { return s.couple(to, false) }

// PipeTo writes everything that s reads to another stream, which may be s itself.
// Until it ends OnData and OnEOF of s are not called, nor its Reader, which hands
// over what it holds. Reading pauses while to is Congested, so that to holds not
// much more than its HighWater; its MaxBuffered does not apply.
//
// At the EOF to gets CloseWrite, and the two are independent again. If to cannot
// be written to any more, s gets CloseRead, so that its other side hears of it. A
// socket that still gets input is reset when it is closed after that, which may
// destroy the end of what was sent on it: OnWriteError of to can call s.PipeTo(nil)
// before, and then s reads on instead. What comes goes to its OnData, and is dropped if that is nil.
// If one of the two is closed before the EOF, by an error or by Close, so is the
// other, with the same error; what was queued is dropped. For s to read on then, too, whoever closes to calls s.PipeTo(nil)
// first; if to is a child's protocol, OnExit does. A reset is an EOF here,
// too (see StreamConfig.OnEOF), and is not handed on as one; OnClose of s tells of it.
//
// A proxy is two of these, one for each direction. nil ends the forwarding, and
// s calls OnData again. Both belong to the same loop, or ErrInvalid is returned;
// ErrClosed if s cannot be read, or to not be written, any more. With any other error, which is that
// of watching s again, s is coupled to none and has its Reader still.
func (s *Stream) PipeTo(to *Stream) error {
	if to != nil && (s.read != sideOpen && !s.owesEOF() || to.write != sideOpen) {
		return ErrClosed
	}
	if err := s.couple(to, true); err != nil || to == nil {
		return err
	}
	if err := s.setPause(pauseUnwanted, false); err != nil {
		s.uncouple()
		return err
	}
	x := s.extra
	if rest := x.dropReader(); len(rest) > 0 {
		to.enqueue([][]byte{rest}, len(rest))
	}
	if x.eofOwed {
		x.eofOwed, s.ended = false, true
		s.forwardEOF()
		s.settle()
	}
	return nil
}

func (s *Stream) couple(to *Stream, forwards bool) error {
	if to == nil {
		if s.extra != nil {
			s.uncouple()
		}
		return nil
	}
	switch {
	case to.loop != s.loop:
		return ErrInvalid
	case s.closed || to.closed || s.lingering():
		return ErrClosed
	}
	x := s.extraState()
	s.uncouple()
	if s.closed || to.closed {
		return ErrClosed // the poller did not let it read on
	}
	x.sink, x.forwards = to, forwards
	sources := &to.extraState().sources
	*sources = append(*sources, s)
	if err := s.setPause(pauseCongested, to.high); err != nil {
		s.uncouple()
		return err
	}
	return nil
}

// uncouple makes the stream independent of its sink.
func (s *Stream) uncouple() {
	x := s.extra
	if x.sink == nil {
		return
	}
	sources := &x.sink.extra.sources
	i := slices.Index(*sources, s)
	*sources = slices.Delete(*sources, i, i+1)
	waits := x.forwards && x.reader != nil // made meanwhile
	x.sink, x.forwards = nil, false
	if err := s.setPause(pauseCongested, false); err != nil {
		s.fail(err)
	} else if waits {
		s.unitsAsked()
	}
}

// uncoupleAll makes it independent of its sources, too.
func (s *Stream) uncoupleAll() {
	s.uncouple()
	for len(s.extra.sources) > 0 {
		s.extra.sources[0].uncouple()
	}
}

// forward writes to the sink what was read.
func (s *Stream) forward(data []byte) {
	to := s.extra.sink
	if to.write == sideOpen {
		to.enqueue([][]byte{data}, len(data))
		return
	}
	s.uncouple()
	s.CloseRead()
}

// forwardEOF ends the sink's writing, and the coupling with it.
func (s *Stream) forwardEOF() {
	to := s.extra.sink
	s.uncouple()
	to.CloseWrite()
	if !s.closed {
		s.settle()
	}
}

// pauseSources has those that are coupled to the stream wait, or go on.
func (s *Stream) pauseSources(congested bool) {
	for i := len(s.extra.sources) - 1; i >= 0; i-- {
		if i >= len(s.extra.sources) {
			continue // a failure has taken more than one away
		}
		from := s.extra.sources[i]
		if err := from.setPause(pauseCongested, congested); err != nil {
			from.fail(err)
		}
	}
}

// endSources ends those that write to the stream, which takes no more.
func (s *Stream) endSources() {
	for len(s.extra.sources) > 0 {
		from := s.extra.sources[0]
		forwards := from.extra.forwards
		from.uncouple()
		switch {
		case !forwards || from.closed:
		case s.closed:
			from.fail(s.err)
		default:
			if from.err == nil {
				from.err = s.err
			}
			from.CloseRead()
		}
	}
}
