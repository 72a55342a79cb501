package reactor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// How much is held back for the end of the iteration, in bytes; docs/performance.md has
// the measurements. corkLimit is for small pieces. corkMost is for larger ones, of which 8 kB
// are too few to keep the other side busy for the time of a system call.
const (
	corkLimit  = 8 << 10
	corkMost   = 32 << 10
	smallPiece = 1 << 10
)

// corked reports whether what is queued waits for more; its last piece has n bytes.
func (s *Stream) corked(n int) bool {
	limit := corkLimit
	if n >= smallPiece {
		limit = corkMost
	}
	return s.queue.len() < limit || s.blocked || !s.loop.running.Load()
}

// uncork writes before the iteration's end, so that the other side can work on
// the beginning of a large batch while this one produces the rest. Without it
// the two processes take turns instead of running side by side: it doubles the
// throughput of pipelined calls. It makes no callback, being inside a call: an
// error is left for the flush, which will meet it again.
func (s *Stream) uncork() (ok bool) {
	want := s.queue.transfer()
	n, err := s.queue.writeTo(s.writer.fd)
	s.loop.stats.Writes++
	if err == nil {
		s.wrote(n)
		s.checkLowWater()
	}
	if err == nil && n < want || errors.Is(err, unix.EAGAIN) {
		s.await()
	}
	return err == nil
}
