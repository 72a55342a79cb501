package reactor

import "golang.org/x/sys/unix"

// Close closes both sides at once. Bytes still queued are dropped: use
// CloseAfterFlush or CloseWrite to have them written. OnClose follows on the loop: with nil,
// unless bytes had been lost before, by an error of writing.
func (s *Stream) Close() { s.fail(nil) }

// fail closes both sides for a reason. Before it comes the loss of bytes, which the owner might not have
// noticed; before that the end of the loop, by which owners know that nothing more will come of anything.
func (s *Stream) fail(err error) {
	if s.closed {
		return
	}
	s.closed = true
	if s.err == nil && s.writeErr != nil && s.queue.len() > 0 {
		s.err = s.writeErr // of an early write: no flush will tell
	}
	if s.err == nil || s.reset && err != nil || err == ErrClosed {
		s.err = err
	}
	s.endRead()
	s.endWrite(false)
	s.queue.drop(&s.loop.chunks)
	s.high = false // those whose sink it is are let go below
	s.loop.streams.remove(s)
	if s.extra != nil {
		s.endExtra()
	}
	s.deferCallback()
}

// broken notes why a connection has ended that was not ended by the other side, mostly by a reset: what was underway, either way, is
// lost, and nobody knows whether there was any. Not so through a Unix socket: of that all has been read before, and a reset says that the other side
// has closed it with our bytes unread. Who lingers wants nothing but to have written.
func (s *Stream) broken(op string, fd int, why error) {
	if s.err == nil && (!s.lingering() || s.queue.len() > 0) && !isUnixSocket(fd) {
		s.err, s.reset = opError(op, fd, why), true
	}
}

// CloseRead ends the read side: what the other side has written and not been
// read, and what it writes later, is not delivered, and OnEOF is not called. A
// pipe is closed, so that the other side's writing fails; of a socket the
// receiving direction is shut down, which over TCP the other side does not
// notice. Writing goes on. If it has ended already, the stream is closed.
func (s *Stream) CloseRead() {
	if s.read != sideOpen && !s.owesEOF() {
		return
	}
	if s.read == sideOpen {
		if s.readSocket {
			// An error means that the other side is gone: nothing will come either.
			_ = unix.Shutdown(s.reader.FD(), unix.SHUT_RD)
		}
		s.endRead()
	}
	if s.extra != nil {
		s.readAbandoned()
	}
	s.settle()
}

// endRead closes the read side. Unwatching comes before closing, always: a
// child may hold a duplicate of the descriptor.
func (s *Stream) endRead() {
	if s.read == sideAbsent || s.read == sideDone && s.reader.fd < 0 {
		return
	}
	s.read = sideDone
	s.reader.Stop()
	if s.readSocket && s.reader.fd == s.writer.fd && !s.closed {
		return // the write side still needs the descriptor
	}
	closeFD(&s.reader.fd, s.writer.fd)
}

// endWrite closes the write side, remembering how much of it was certainly not
// read: once it is closed, what lies in the kernel cannot be asked for any more,
// and is not read only if there is no reader.
func (s *Stream) endWrite(readerGone bool) {
	if s.write == sideAbsent || s.writer.fd < 0 {
		return
	}
	if s.write != sideDone {
		s.unread = s.queue.len()
		if readerGone {
			s.unread += s.inKernel()
		}
	}
	s.write = sideDone
	s.writer.Stop()
	if s.reader.fd == s.writer.fd && !s.closed {
		return // the read side still needs the descriptor
	}
	closeFD(&s.writer.fd, s.reader.fd)
}

// closeFD closes *fd, unless it is also other and closed with that one.
func closeFD[N int | int32](fd *N, other N) {
	if *fd >= 0 && *fd != other {
		unix.Close(int(*fd))
	}
	*fd = -1
}

// settle closes the stream when both sides have ended by themselves.
func (s *Stream) settle() {
	readEnded := s.read == sideAbsent || s.read == sideDone && !s.owesEOF()
	writeEnded := s.write == sideAbsent || s.write == sideDone
	if readEnded && writeEnded {
		s.fail(nil)
	}
}

// deferCallback has runDeferred called in the next iteration, or in this one if
// its turn has not come yet.
func (s *Stream) deferCallback() {
	if !s.deferred {
		s.deferred = true
		s.loop.deferred = append(s.loop.deferred, s)
		s.loop.nudge()
	}
}

func (s *Stream) runDeferred() {
	s.deferred = false
	if s.extra != nil && !s.closed {
		s.runExtra()
	}
	if s.drained {
		s.drained = false
		if !s.closed && s.config.OnDrain != nil {
			s.config.OnDrain()
		}
	}
	if s.closed && s.config.OnClose != nil {
		onClose := s.config.OnClose
		s.config = StreamConfig{}
		onClose(s.err)
	}
}

// nudge makes a host poll a loop that was given work outside an iteration.
func (l *Loop) nudge() {
	if !l.running.Load() {
		l.interrupt()
	}
}
