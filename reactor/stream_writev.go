package reactor

import (
	"errors"

	"golang.org/x/sys/unix"
)

const (
	// directSize is from how many bytes on a write may bypass the queue: below,
	// copying costs less than a system call.
	directSize = 64 << 10

	// directAverage is the least mean size of the buffers for that: a system call
	// takes maxVectors of them, and should be worth it.
	directAverage = 4 << 10
)

// Writev queues copies of the buffers, one behind the other, like a Write of all
// of them together and with the same errors: either all are queued or none. Of a
// large total as much as the kernel takes is written at once from the buffers
// themselves, without being copied, if nothing waits before it. The buffers are the
// caller's again when Writev returns; empty ones do no harm.
func (s *Stream) Writev(bufs ...[]byte) error {
	total := 0
	for _, b := range bufs {
		if total += len(b); total < 0 {
			break // more than an int counts, on a 32-bit system
		}
	}
	switch {
	case s.write != sideOpen:
		return s.refusal()
	case total == 0:
		return nil
	case total < 0 || !s.fits(total):
		return s.overfull()
	}
	return s.enqueue(bufs, total)
}

// enqueue accepts the buffers, beyond MaxBuffered, too.
func (s *Stream) enqueue(bufs [][]byte, total int) error {
	written, full := 0, false
	if total >= directSize && total/len(bufs) >= directAverage && !s.blocked && s.loop.running.Load() {
		s.Flush()
		if s.write != sideOpen {
			return s.refusal()
		}
		if s.queue.len() == 0 && !s.blocked {
			written, full = s.writeDirect(bufs)
		}
	}
	if written == total {
		s.accepted += uint64(total)
		return nil
	}
	for _, b := range bufs {
		skip := min(written, len(b))
		written -= skip
		s.queue.add(b[skip:], &s.loop.chunks)
	}
	s.queued(total)
	switch {
	case full:
		s.await()
	case !s.corked(total / len(bufs)):
		s.uncork()
	}
	return nil
}

// writeDirect writes from the buffers until the kernel takes no more. It makes no
// callback: an error is left for the flush of the rest.
func (s *Stream) writeDirect(bufs [][]byte) (written int, full bool) {
	for at := 0; ; {
		var vectors [maxVectors][]byte
		n, want := gather(&vectors, bufs, at)
		if n == 0 {
			return written, false
		}
		w, err := sysWritev(s.writer.FD(), vectors[:n])
		s.loop.stats.Writes++
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return written, true
		case err != nil:
			s.noteWriteError(err)
			return written, false
		}
		written += w
		s.loop.stats.BytesWritten += uint64(w)
		if s.extra != nil {
			s.extra.times.wrote(s.loop)
		}
		if w < want {
			return written, true
		}
		for at += w; len(bufs) > 0 && at >= len(bufs[0]); bufs = bufs[1:] {
			at -= len(bufs[0])
		}
	}
}

// gather collects what one system call may write of the buffers, from byte at of
// the first on, and says how many and how much that is.
func gather(vectors *[maxVectors][]byte, bufs [][]byte, at int) (n, want int) {
	for _, b := range bufs {
		if b = b[min(at, len(b)):]; len(b) > 0 {
			vectors[n] = b
			n++
			want += len(b)
		}
		at = 0
		if n == len(vectors) || want >= maxTransfer {
			break
		}
	}
	return n, min(want, maxTransfer)
}
