package reactor

import "time"

// defaultLinger is as long as Apache httpd and nginx wait for the other side to
// end a connection that they have ended (MAX_SECS_TO_LINGER, lingering_time).
const defaultLinger = 30 * time.Second

// CloseAfterFlush closes the stream when everything queued has been written. From
// now on nothing can be written, what is read is dropped, and no callback comes
// but OnClose: with nil if everything was written, with the error if writing
// failed, or with one that is ErrTimeout if bytes were left after linger.
//
// A socket that is closed while input lies unread, or is still coming, resets the
// connection, which may destroy what was just sent. So sockets are half-closed
// first, and closed when the other side has ended, too, or after linger. That cannot be
// done for one that the stream does not read, as it was given to it for writing only, or CloseRead was
// called: it is closed when all has been written, and what was just sent may be destroyed. That
// the other side has read everything is not promised; only an answer can tell.
//
// A linger of zero is 30 s; a negative one has no limit. Another call sets linger
// anew. Lingering keeps Run and Shutdown from returning; Close ends it.
func (s *Stream) CloseAfterFlush(linger time.Duration) {
	if s.closed {
		return
	}
	if linger == 0 {
		linger = defaultLinger
	}
	x := s.extraState()
	x.times.linger = 0
	if until := after(s.loop.clock(), int64(linger)); until < never {
		x.times.linger = until
	}
	if !x.lingering {
		s.beginLinger()
	}
	if !s.closed {
		s.arm()
	}
}

func (s *Stream) beginLinger() {
	x := s.extra
	s.readAbandoned()
	s.uncouple()
	x.lingering = true
	s.endSources()
	s.config = StreamConfig{OnClose: s.config.OnClose, HighWater: s.config.HighWater, LowWater: s.config.LowWater}
	s.pauses = 0
	if s.closed {
		return
	}
	if s.read == sideOpen {
		if err := s.reader.Start(); err != nil {
			s.fail(err)
			return
		}
	}
	switch s.write {
	case sideOpen:
		s.CloseWrite()
	case sideAbsent, sideDone:
		s.flushed()
	}
}

// flushed is called when the write side has ended.
func (s *Stream) flushed() {
	if pipe := !s.readSocket || s.write == sideDone && !s.writeSocket; s.lingering() && (pipe || s.writeErr != nil) {
		s.fail(nil) // nothing to wait for: closing a pipe harms nobody
		return
	}
	s.settle()
}

// lingering reports whether CloseAfterFlush has been called and is not done.
func (s *Stream) lingering() bool { return s.extra != nil && s.extra.lingering && !s.closed }

// lingeredOut closes the stream because linger has passed.
func (s *Stream) lingeredOut() {
	if s.queue.len() > 0 {
		s.fail(opError("linger", s.writer.FD(), ErrTimeout))
		return
	}
	s.fail(nil)
}
