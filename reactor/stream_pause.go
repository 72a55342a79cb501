package reactor

// pauseReason is a set of reasons not to read. Each is set and cleared by whom
// it belongs to: only without any the stream reads.
type pauseReason uint8

const (
	pauseAsked     pauseReason = 1 << iota // Pause
	pauseCongested                         // the stream it is coupled to is congested
	pauseUnwanted                          // its Reader has been asked for nothing
)

// Pause stops reading. The kernel's buffer fills, and the other side waits. Until
// Resume an end of its writing is not noticed; that it has reset a connection is told to
// OnWriteError, and ends the stream after Resume. An idle timeout counts meanwhile.
func (s *Stream) Pause() error { return s.setPause(pauseAsked, true) }

// Resume undoes Pause. If the stream is also paused because another one is
// congested (see PauseWhileCongested), it goes on only when that is over.
func (s *Stream) Resume() error { return s.setPause(pauseAsked, false) }

// Paused reports whether Pause is in force.
func (s *Stream) Paused() bool { return s.pauses&pauseAsked != 0 }

// setPause adds or removes a reason, which is left as it was on an error.
func (s *Stream) setPause(why pauseReason, on bool) error {
	before := s.pauses
	if on {
		s.pauses |= why
	} else {
		s.pauses &^= why
	}
	if x := s.extra; x != nil {
		if x.lingering {
			s.pauses = 0 // what comes is read and dropped, whoever had enough of it
			return nil
		}
		s.holdReader()
	}
	if s.read != sideOpen {
		return nil
	}
	var err error
	switch {
	case before == 0 && s.pauses != 0:
		err = s.reader.Stop()
	case before != 0 && s.pauses == 0:
		err = s.reader.Start()
		if s.extra != nil && err == nil {
			s.readsAgain()
		}
	}
	if err != nil {
		s.pauses = before
		if s.extra != nil {
			s.holdReader()
		}
	}
	return err
}
