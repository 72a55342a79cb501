package reactor

import "slices"

// Detach gives the descriptors back to the caller and ends the stream without
// closing them: -1 for a side that is absent or has been closed; a socket, of
// which one side may have been shut down, is returned as both. They are not watched
// any more, and are left non-blocking, which whoever shares them sees, too. OnClose
// is not called, nor any other callback. What the stream was coupled to is
// independent of it from now on.
//
// unread is what a Reader had been given and not made into units; unwritten what
// was queued, also if CloseWrite was to follow it. Both are the caller's. A stream
// that is closed has nothing to give: -1, -1.
func (s *Stream) Detach() (readFD, writeFD int, unread, unwritten []byte) {
	if s.closed {
		return -1, -1, nil, nil
	}
	if s.extra != nil {
		unread = s.extra.dropReader()
	}
	unwritten = s.queue.bytes()
	// Unwatching cannot fail in a way that matters: the descriptors are open.
	s.reader.Stop()
	s.writer.Stop()
	readFD, writeFD = s.FDs()
	s.reader.fd, s.writer.fd = -1, -1
	s.read, s.write = ended(s.read), ended(s.write)
	if s.extra != nil {
		s.uncoupleAll() // now that it does not read on by that: a poller that refused it would fail the stream
	}
	s.config = StreamConfig{}
	s.unread = len(unwritten)
	s.fail(nil)
	return readFD, writeFD, unread, unwritten
}

// ended is a side's state when it has no descriptor any more.
func ended(side side) side {
	if side == sideAbsent {
		return sideAbsent
	}
	return sideDone
}

// bytes returns a copy of what waits.
func (q *writeQueue) bytes() []byte {
	if q.size == 0 {
		return nil
	}
	all := make([]byte, 0, q.size)
	for i, c := range q.chunks {
		if i == 0 {
			all = append(all, c.B[q.head:]...)
		} else {
			all = append(all, c.B...)
		}
	}
	return slices.Clip(all)
}
