package reactor

import (
	"math"
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// A Timeout is one of the three that a stream may have.
type Timeout uint8

// The timeouts of a stream.
const (
	IdleTimeout  Timeout = iota + 1 // nothing was read and nothing written
	ReadTimeout                     // nothing was read
	WriteTimeout                    // bytes are queued, and the other side takes none
)

// String is "idle timeout", "read timeout" or "write timeout".
func (t Timeout) String() string {
	switch t {
	case IdleTimeout:
		return "idle timeout"
	case ReadTimeout:
		return "read timeout"
	case WriteTimeout:
		return "write timeout"
	default:
		return "unknown timeout"
	}
}

// never is the deadline of what does not run.
const never = math.MaxInt64

// streamTimes has a stream's timeouts: their lengths, and when each began to
// count. An activity only stores the time. One timer looks at it when the first
// timeout might have passed, and mostly finds that it has to wait for longer.
type streamTimes struct {
	idle, read, write                int64 // ns; 0: off
	idleSince, readSince, writeSince int64 // loop time
	linger                           int64 // until when to linger; 0: for ever

	timer   *Timer
	armed   int64 // when the timer fires, if it is active
	waiting bool  // bytes are queued that the kernel did not take
	due     bool  // runTimeouts is owed
}

// SetIdleTimeout sets how long nothing may be read nor written, in either
// direction and whether paused or not, until StreamConfig.OnTimeout is called with
// IdleTimeout. It counts from now, and anew from every byte that is read from or
// given to the kernel, and from the call of OnTimeout. Zero or less: no timeout.
//
// Timeouts do not keep Run from returning. Bytes that have come, and room that there is
// for those that wait, before the timeout is noticed prevent it, however long another
// callback has kept the loop busy.
func (s *Stream) SetIdleTimeout(d time.Duration) {
	if t := s.times(d); t != nil {
		t.idle, t.idleSince = int64(d), s.loop.clock()
		s.arm()
	}
}

// SetReadTimeout sets how long nothing may be read until StreamConfig.OnTimeout
// is called with ReadTimeout. It does not count after the EOF, nor while the
// stream is paused, and begins anew when it is resumed. Else it is like
// SetIdleTimeout.
func (s *Stream) SetReadTimeout(d time.Duration) {
	if t := s.times(d); t != nil {
		t.read, t.readSince = int64(d), s.loop.clock()
		s.arm()
	}
}

// SetWriteTimeout sets how long the other side may take nothing while bytes are
// queued for it until StreamConfig.OnTimeout is called with WriteTimeout. It
// counts only while the kernel's buffer is full, and anew from every byte that it
// takes. Else it is like SetIdleTimeout.
func (s *Stream) SetWriteTimeout(d time.Duration) {
	if t := s.times(d); t != nil {
		t.write, t.writeSince = int64(d), s.loop.clock()
		s.arm()
	}
}

// times returns where to set a timeout; nil if there is nothing to set.
func (s *Stream) times(d time.Duration) *streamTimes {
	if s.closed || d <= 0 && s.extra == nil {
		return nil
	}
	return &s.extraState().times
}

// haveRead notes that something was read.
func (t *streamTimes) haveRead(l *Loop) {
	if t.idle > 0 || t.read > 0 {
		t.readSince = l.clock()
		t.idleSince = t.readSince
	}
}

// wrote notes that something was written.
func (t *streamTimes) wrote(l *Loop) {
	if t.idle > 0 || t.write > 0 {
		t.writeSince = l.clock()
		t.idleSince = t.writeSince
	}
}

// readsAgain begins the read timeout after a pause.
func (s *Stream) readsAgain() {
	if t := &s.extra.times; t.read > 0 {
		t.readSince = s.loop.clock()
		s.arm()
	}
}

// waitsForRoom begins the write timeout, unless it runs.
func (s *Stream) waitsForRoom() {
	t := &s.extra.times
	if t.waiting {
		return
	}
	t.waiting = true
	if t.write > 0 {
		t.writeSince = s.loop.clock()
		s.arm()
	}
}

// deadline is when a timeout has passed if nothing happens.
func (s *Stream) deadline(which Timeout) int64 {
	t := &s.extra.times
	switch {
	case s.extra.lingering:
		return never // has a deadline of its own
	case which == IdleTimeout:
		return after(t.idleSince, t.idle)
	case which == ReadTimeout && s.read == sideOpen && s.pauses == 0:
		return after(t.readSince, t.read)
	case which == WriteTimeout && t.waiting:
		return after(t.writeSince, t.write)
	}
	return never
}

// after adds a timeout to its beginning.
func after(since, timeout int64) int64 {
	if timeout <= 0 || since > never-timeout {
		return never
	}
	return since + timeout
}

// nextDeadline is the first.
func (s *Stream) nextDeadline() int64 {
	if x := s.extra; x.lingering && x.times.linger > 0 {
		return x.times.linger
	}
	return min(s.deadline(IdleTimeout), s.deadline(ReadTimeout), s.deadline(WriteTimeout))
}

// arm sees to it that the timer fires at the first deadline or before.
func (s *Stream) arm() {
	t := &s.extra.times
	next := s.nextDeadline()
	switch {
	case next == never || t.due:
		return
	case t.timer == nil:
		t.timer = s.loop.AfterFunc(time.Duration(next-s.loop.clock()), s.onTimer)
		t.timer.level = ownLevel // it may find nothing due
		t.timer.Unref()
	case t.timer.Active() && t.armed <= next:
		return
	default:
		t.timer.Reset(time.Duration(next - s.loop.clock()))
	}
	t.armed = next
}

// onTimer leaves the decision to a later step of the iteration: timers come
// before reading, and what lies in the kernel counts as having come in time.
func (s *Stream) onTimer() {
	if s.nextDeadline() > s.loop.now {
		s.arm()
		return
	}
	s.extra.times.due = true
	s.deferCallback()
}

// runTimeouts calls OnTimeout for what has passed.
func (s *Stream) runTimeouts() {
	t := &s.extra.times
	now := s.loop.now
	s.lookAgain(now)
	if s.closed {
		return
	}
	for _, which := range [...]Timeout{WriteTimeout, ReadTimeout, IdleTimeout} {
		if s.deadline(which) <= now {
			t.restart(which, s.loop.clock())
			s.timedOut(which)
		}
		if s.closed {
			return
		}
	}
	if s.extra.lingering && s.nextDeadline() <= now {
		s.lingeredOut()
		return
	}
	t.due = false // only now: whatever the callbacks have changed, the timer is set once
	s.arm()
}

// lookAgain reads and writes once more before a timeout is held against the other
// side: the poller reports a part of what is ready if that is much, and what was
// found to have room is written at the end of the iteration only. It reads nothing that is not
// ready: of a FIFO that nobody has opened for writing yet that would be an EOF.
func (s *Stream) lookAgain(now int64) {
	idle := s.deadline(IdleTimeout) <= now
	if (idle || s.deadline(ReadTimeout) <= now) && s.read == sideOpen && s.pauses == 0 {
		if poller.Look(s.reader.FD(), Read) != 0 {
			s.onReadable(Read)
		}
	}
	if s.queue.len() > 0 && (idle || s.nextDeadline() <= now) {
		s.blocked = false
		s.flush()
	}
}

// restart makes a timeout count from now.
func (t *streamTimes) restart(which Timeout, now int64) {
	switch which {
	case IdleTimeout:
		t.idleSince = now
	case ReadTimeout:
		t.readSince = now
	case WriteTimeout:
		t.writeSince = now
	}
}

func (s *Stream) timedOut(which Timeout) {
	if s.config.OnTimeout != nil {
		s.config.OnTimeout(which)
		return
	}
	s.fail(opError(which.String(), max(s.reader.FD(), s.writer.FD()), ErrTimeout))
}

func (t *streamTimes) stop() {
	t.due = false
	if t.timer != nil {
		t.timer.Stop()
	}
}
