package reactor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Write queues a copy of p. It leaves at the end of the iteration, together with
// whatever else is queued until then; of a large batch, the beginning leaves
// earlier. It returns ErrBufferFull if p does not fit in MaxBuffered, ErrClosed
// after CloseWrite or Close, the write error if the other side is gone, and what the stream has failed with otherwise; then
// nothing of p was queued.
func (s *Stream) Write(p []byte) error {
	if len(p) >= directSize {
		return s.Writev(p)
	}
	return s.Commit(append(s.AppendBuffer(), p...))
}

// AppendBuffer lends the end of the write queue, for encoding in place: append
// to it and give the result to Commit at once, before any other call.
func (s *Stream) AppendBuffer() []byte {
	if s.write != sideOpen {
		return nil
	}
	return s.queue.tail(&s.loop.chunks)
}

// Commit queues what was appended to the buffer lent by AppendBuffer, or rolls
// it back with the same errors as Write.
func (s *Stream) Commit(buf []byte) error {
	if !s.dirty || s.write != sideOpen || s.queue.last == nil {
		return s.commit(buf)
	}
	// The common case, another small piece behind the first of this iteration,
	// is kept short: it is made millions of times a second.
	n := len(buf) - len(s.queue.last.B)
	if n <= 0 || s.queue.size+n >= int(s.notice) {
		return s.commit(buf)
	}
	s.queue.commit(buf, n)
	s.accepted += uint64(n)
	return nil
}

// commit is Commit in full.
func (s *Stream) commit(buf []byte) error {
	if s.write != sideOpen {
		return s.refusal()
	}
	if s.queue.last == nil {
		return ErrInvalid // AppendBuffer was not called
	}
	n := len(buf) - len(s.queue.last.B)
	if n <= 0 {
		s.queue.rollback(&s.loop.chunks)
		return nil
	}
	if !s.fits(n) {
		s.queue.rollback(&s.loop.chunks)
		return s.overfull()
	}
	s.queue.commit(buf, n)
	s.queued(n)
	if !s.corked(n) {
		s.uncork()
	}
	return nil
}

// refusal is why nothing can be written any more.
func (s *Stream) refusal() error {
	switch {
	case s.writeErr != nil:
		return s.writeErr
	case s.closed && s.err != nil: // OnClose, which tells, may have yet to be called
		return s.err
	}
	return ErrClosed
}

// fits reports whether MaxBuffered allows n more bytes.
func (s *Stream) fits(n int) bool {
	limit := s.config.MaxBuffered
	return limit <= 0 || n <= limit-s.queue.len()
}

// overfull refuses bytes that do not fit. If others are in their way, OnDrain tells
// when to try again; one that is owed already stays owed.
func (s *Stream) overfull() error {
	if s.queue.len() > 0 {
		s.setHigh(true)
	}
	return ErrBufferFull
}

// queued accounts for n accepted bytes, of which at least one is in the queue.
func (s *Stream) queued(n int) {
	s.accepted += uint64(n)
	if s.queue.len() >= s.config.HighWater {
		s.setHigh(true)
	}
	s.markDirty()
}

// wrote takes n bytes that the kernel has accepted out of the queue.
func (s *Stream) wrote(n int) {
	s.loop.stats.BytesWritten += uint64(n)
	s.writeErr = nil // of before, if there was one
	s.queue.advance(n, &s.loop.chunks)
	if s.extra != nil {
		s.extra.times.wrote(s.loop)
	}
}

// Flush writes what is queued now instead of at the end of the iteration, as
// far as the kernel takes it. If that was all, and CloseWrite was called, it half-closes the stream.
func (s *Stream) Flush() {
	for !s.blocked && s.queue.len() > 0 && s.uncork() {
	}
	if s.write == sideFlushing && s.queue.len() == 0 {
		s.written() // which makes no callback either
	}
}

// Buffered is how many bytes are queued in this process.
func (s *Stream) Buffered() int { return s.queue.len() }

// Congested reports whether Buffered has reached HighWater, or was in the way of a write, and has
// not yet come down to LowWater: whoever produces should wait for OnDrain. A closed stream is not.
func (s *Stream) Congested() bool { return s.high }

// Accepted is how many bytes Write and Commit have taken, ever.
func (s *Stream) Accepted() uint64 { return s.accepted }

// Unread is how many of the accepted bytes the other side has certainly not
// read: those queued here and, on Linux pipes, those in the kernel. It keeps
// answering after the stream has been closed, but what CloseWrite or Close left
// in the kernel may have been read later, and is not counted.
func (s *Stream) Unread() int {
	if s.write == sideDone {
		return s.unread
	}
	return s.queue.len() + s.inKernel()
}

// inKernel asks the pipe, in which there may be bytes of before the stream, too. The answer of anything else, a socket or
// a terminal, would be about the other direction.
func (s *Stream) inKernel() int {
	if s.writer.fd < 0 || !isPipe(s.writer.FD()) {
		return 0
	}
	written := s.accepted - uint64(s.queue.len())
	return int(min(uint64(sysUnread(s.writer.FD())), written))
}

// CloseWrite half-closes the stream once everything queued has been written:
// the other side reads EOF. On a pipe the descriptor is closed, on a socket the
// sending direction is shut down. Reading goes on.
func (s *Stream) CloseWrite() {
	if s.write == sideOpen {
		s.write = sideFlushing
		s.markDirty()
	}
}

// CloseWriteAfter is CloseWrite after a last piece, of which a copy is queued beyond MaxBuffered, too. It returns
// ErrClosed after CloseWrite or Close, else an error as Write; then
// nothing was queued.
func (s *Stream) CloseWriteAfter(last []byte) error {
	if s.write != sideOpen {
		return s.refusal()
	}
	if len(last) > 0 {
		if err := s.enqueue([][]byte{last}, len(last)); err != nil {
			return err
		}
	}
	s.CloseWrite()
	return nil
}

func (s *Stream) markDirty() {
	if !s.dirty && !s.blocked {
		s.dirty = true
		s.loop.dirty = append(s.loop.dirty, s)
		s.loop.nudge()
	}
}

// onWritable is called when the other side is gone, or when there is room again:
// then the bytes leave at the end of this iteration like all others.
func (s *Stream) onWritable(ready Ready) {
	s.loop.blame(s)
	if ready&HangUp != 0 {
		s.askWhy()
		s.writeFailed(unix.EPIPE)
		return
	}
	s.blocked = false
	s.markDirty()
}

// askWhy asks a socket why it has hung up, unless it is read: then reading tells. While that is paused it would tell too late.
func (s *Stream) askWhy() {
	fd := s.writer.FD()
	if !s.writeSocket || s.read == sideOpen && s.pauses == 0 && s.reader.FD() == fd {
		return
	}
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
		s.broken("write", fd, unix.Errno(n))
	}
}

// flush writes until the queue is empty or the kernel's buffer is full.
func (s *Stream) flush() {
	for s.queue.len() > 0 && !s.closed {
		want := s.queue.transfer()
		n, err := s.queue.writeTo(s.writer.FD())
		s.loop.stats.Writes++
		switch {
		case err == nil:
			s.wrote(n)
			if n < want {
				s.await() // took a part: full, no need to be told EAGAIN
				return
			}
		case errors.Is(err, unix.EAGAIN):
			s.await()
			return
		case errors.Is(err, unix.EINTR):
		default:
			s.writeFailed(err)
			return
		}
	}
	s.written()
}

// await has the poller tell when there is room.
func (s *Stream) await() {
	s.checkLowWater()
	if s.blocked {
		return
	}
	s.blocked = true
	s.widen(s.writer.FD(), &s.wideWrite)
	if s.extra != nil {
		s.waitsForRoom()
	}
	if s.writer.interest&Write != 0 {
		return
	}
	s.writer.Ref()
	if err := s.writer.SetInterest(Write | HangUp); err != nil {
		s.fail(err)
	}
}

// written is called when everything has been written.
func (s *Stream) written() {
	if s.closed {
		return
	}
	s.checkLowWater()
	if s.extra != nil {
		s.extra.times.waiting = false
	}
	if s.writer.interest&Write != 0 {
		s.writer.Unref()
		if err := s.writer.SetInterest(HangUp); err != nil {
			s.fail(err)
			return
		}
	}
	if s.write == sideFlushing {
		if s.writeSocket {
			// An error means that the other side is gone, which reading will tell.
			_ = unix.Shutdown(s.writer.FD(), unix.SHUT_WR)
		}
		s.endWrite(false)
		s.flushed()
	}
}

// setHigh sets whether the stream is congested; whoever waits for it is paused
// or goes on.
func (s *Stream) setHigh(high bool) {
	if s.high != high {
		s.high = high
		if s.extra != nil {
			s.pauseSources(high)
		}
	}
}

func (s *Stream) checkLowWater() {
	if s.high && s.queue.len() <= s.config.LowWater {
		s.setHigh(false)
		s.drained = true
		s.deferCallback()
	}
}

// noteWriteError keeps the error that a write has met. A socket tells once why it is gone, which may have been told to an early
// write, and says EPIPE ever after.
func (s *Stream) noteWriteError(err error) {
	if s.writeErr == nil || !errors.Is(err, unix.EPIPE) {
		s.writeErr = &OpError{Op: "write", FD: s.writer.FD(), Err: err}
	}
}

// writeFailed ends the write side only: what the other side has still written
// is read to its end.
func (s *Stream) writeFailed(err error) {
	if s.write != sideOpen && s.write != sideFlushing {
		return
	}
	s.noteWriteError(err)
	if s.queue.len() > 0 && s.err == nil {
		s.err = s.writeErr // bytes are lost; else a vanished reader is no failure
	}
	s.endWrite(true)
	s.queue.drop(&s.loop.chunks)
	s.checkLowWater() // nothing is queued: whoever waits for room is told by Write why there is none
	s.blocked = false
	if s.extra != nil {
		s.extra.times.waiting = false
	}
	if s.config.OnWriteError != nil {
		s.config.OnWriteError(s.writeErr)
	}
	if s.extra != nil && !s.closed {
		s.endSources()
	}
	if !s.closed {
		s.flushed()
	}
}
