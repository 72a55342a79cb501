package reactor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readsPerEvent bounds what one busy stream reads before others have their turn: the
// rest is reported again, or is the next iteration's because the stream remembers it.
const readsPerEvent = 2

// drainMost bounds Drain where the kernel does not say how much there is:
// somebody else who holds the pipe may write to it faster than we read. It is
// the most that a pipe holds by default (Linux: pipe-max-size).
const drainMost = 1 << 20

// Drain reads what the kernel has now, up to EAGAIN or the EOF, calling OnData
// and OnEOF, or the functions of a Reader, from inside this call, whether the stream is paused or not. It is for
// taking the last bytes of a process that has exited, whose grandchildren may
// hold the pipe open for ever, and go on writing: what is written to it after
// the call need not be read.
func (s *Stream) Drain() { s.loop.nested(s, (*Stream).drain) }

func (s *Stream) drain() {
	if x := s.extra; x != nil && x.reader != nil && !x.draining {
		x.draining = true
		defer func() {
			x.draining = false
			s.holdReader()
		}()
		s.holdReader()
		s.goOnReading() // with the units that were held
	}
	left := drainMost
	if s.read == sideOpen {
		left += sysUnread(s.reader.FD())
	}
	for s.read == sideOpen && left >= 0 {
		n, more := s.readOnce()
		if n == 0 && !more {
			return // after a short read there is an EOF to look for
		}
		left -= n
	}
}

// onReadable reads what has been reported. A hang-up that was reported along with bytes may not be reported
// again, so it has the stream read on to the EOF.
func (s *Stream) onReadable(ready Ready) {
	s.loop.blame(s)
	for range readsPerEvent {
		n, more := s.readOnce()
		if s.pauses != 0 || s.read != sideOpen {
			return // whoever lets it go on has the poller look anew
		}
		if !more && (n == 0 || ready&HangUp == 0) {
			return
		}
	}
	if s.reader.edge {
		_ = s.reader.Feed(ready) // it is active, being open and not paused
	}
}

// readOnce reads once into the loop's buffer and reports how much and whether there
// may be more: a short read has emptied a pipe or a socket, so asking again can wait.
func (s *Stream) readOnce() (n int, more bool) {
	l := s.loop
	buf := l.readBuf
	if buf == nil {
		buf = make([]byte, readBufferSize) // lent out: Drain inside an OnData
	}
	n, err := sysRead(s.reader.FD(), buf)
	l.stats.Reads++
	switch {
	case err == nil && n > 0:
		l.stats.BytesRead += uint64(n)
		if n >= defaultPipe {
			s.widen(s.reader.FD(), &s.wideRead)
		}
		l.readBuf = nil
		s.deliver(buf[:n])
		l.readBuf = buf
		return n, n == len(buf)
	case err == nil:
		s.readEOF()
	case errors.Is(err, unix.EINTR):
		return 0, true
	case errors.Is(err, unix.EAGAIN):
	case s.readSocket && errors.Is(err, unix.ECONNRESET):
		s.broken("read", s.reader.FD(), unix.ECONNRESET)
		s.readEOF() // the data came first; a peer that closes with our bytes unread resets
	case errors.Is(err, unix.EIO) && isPtyMaster(s.reader.FD()):
		s.readEOF() // nobody has the terminal open any more
	default:
		s.fail(opError("read", s.reader.FD(), err))
	}
	return 0, false
}

// deliver hands on what was read.
func (s *Stream) deliver(data []byte) {
	switch x := s.extra; {
	case x != nil && x.divert(s, data):
	case s.config.OnData != nil:
		s.config.OnData(data)
	}
}

func (s *Stream) readEOF() {
	s.endRead()
	if s.extra != nil && s.extra.divertEOF(s) {
		return
	}
	s.deliverEOF()
}

func (s *Stream) deliverEOF() {
	s.ended = true
	if s.config.OnEOF != nil {
		s.config.OnEOF()
	}
	if !s.closed {
		s.settle()
	}
}
