package reactor

import (
	"errors"
	"math"

	"github.com/evfork/evfork/internal/yield"
	"golang.org/x/sys/unix"
)

// How much is held back for the end of the iteration, in bytes; docs/performance.md has
// the measurements. corkLimit is for small pieces. corkMost is for larger ones, of which 8 kB
// are too few to keep the other side busy for the time of a system call, and for all pieces with one CPU, where the other
// side cannot run before this one waits.
const (
	corkLimit  = 8 << 10
	corkMost   = 32 << 10
	smallPiece = 1 << 10
)

// defaultCork is how much is held back of small pieces unless SetCork says otherwise.
func defaultCork(oneCPU bool) int {
	if oneCPU {
		return corkMost
	}
	return corkLimit
}

// SetCork sets how much is held back of small pieces (less than 1 kB), in bytes: when so much has been queued within
// an iteration, it leaves before the iteration's end. 0 sets the default, 8 kB, or 32 kB if the process has one CPU only.
//
// For two sides that work side by side on what goes back and forth between them it has to be less than half of that: with more they take
// turns, each asleep while the other works. With little there are more system calls, each of which may wake the other
// side. docs/performance.md, "Taking turns", has the measurements.
func (s *Stream) SetCork(n int) {
	if n <= 0 {
		n = defaultCork(yield.OneCPU)
	}
	notice := min(n, s.config.HighWater)
	if s.config.MaxBuffered > 0 {
		notice = min(notice, s.config.MaxBuffered)
	}
	s.cork, s.notice = int32(min(n, math.MaxInt32)), int32(min(notice, math.MaxInt32))
}

// corked reports whether what is queued waits for more; its last piece has n bytes.
func (s *Stream) corked(n int) bool {
	limit := int(s.cork)
	if n >= smallPiece {
		limit = max(limit, corkMost)
	}
	return s.queue.len() < limit || s.blocked || !s.loop.running.Load()
}

// uncork writes before the iteration's end, so that the other side can work on
// the beginning of a large batch while this one produces the rest. Without it
// the two processes take turns instead of running side by side: it doubles the
// throughput of pipelined calls. It makes no callback, being inside a call: an
// error is left for the flush.
func (s *Stream) uncork() (ok bool) {
	want := s.queue.transfer()
	n, err := s.queue.writeTo(s.writer.FD())
	s.loop.stats.Writes++
	if err == nil {
		s.wrote(n)
		s.checkLowWater()
	}
	if err == nil && n < want || errors.Is(err, unix.EAGAIN) {
		s.await()
	} else if err != nil {
		s.noteWriteError(err)
	}
	return err == nil
}
