package reactor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestTortureTimeoutsPassWhenNothingHappens does random things with more streams than one
// wait reports, while the test moves the time. Each timeout must pass to the nanosecond,
// and none while there is something to read, or room for what waits.
func TestTortureTimeoutsPassWhenNothingHappens(t *testing.T) {
	tortureRounds(t, 1, func(t *testing.T, seed uint64) {
		loop, clock := newHandLoop(t)
		w := &timedWorld{t: t, rnd: rand.New(rand.NewPCG(seed, 11)), loop: loop, clock: clock}
		for range 50 {
			w.newStream(fdtest.Transports()[w.rnd.IntN(2)])
		}
		for range 3000 {
			w.do(w.streams[w.rnd.IntN(len(w.streams))])
			if w.rnd.IntN(8) == 0 {
				w.clock.now += time.Duration(w.rnd.IntN(1000))
				w.poll()
			}
			if t.Failed() {
				return
			}
		}
	})
}

// timedWorld is a loop with streams that have timeouts.
type timedWorld struct {
	t       *testing.T
	rnd     *rand.Rand
	loop    *reactor.Loop
	clock   *handClock
	streams []*timedStream
	inside  bool // a callback
}

// timedStream is a stream, its peer, and what its timeouts have to be.
type timedStream struct {
	w      *timedWorld
	stream *reactor.Stream
	peer   *fdtest.End
	length [4]time.Duration // by Timeout; 0: off
	since  [4]time.Duration
	taken  uint64 // of what was written, by the kernel
	eof    bool
	judged uint64 // the iteration of the last timeout
}

func (w *timedWorld) newStream(transport fdtest.Transport) {
	ours, theirs := transport.Open(w.t)
	w.t.Cleanup(theirs.Close)
	fdtest.Shrink(w.t, ours.Write)
	s := &timedStream{w: w, peer: theirs}
	var err error
	s.stream, err = w.loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		OnData: func([]byte) {
			s.touch(reactor.ReadTimeout, reactor.IdleTimeout)
			w.callback()
		},
		OnEOF:     func() { s.eof = true },
		OnTimeout: s.onTimeout,
		OnWriteError: func(error) { // how much of what is gone was taken is not told
			s.taken = s.stream.Accepted()
			s.set(reactor.IdleTimeout)
		},
	})
	must(w.t, err)
	w.streams = append(w.streams, s)
}

// callback does something from inside of one.
func (w *timedWorld) callback() {
	if w.inside || w.rnd.IntN(3) > 0 {
		return
	}
	w.inside = true
	w.do(w.streams[w.rnd.IntN(len(w.streams))])
	w.inside = false
}

func (s *timedStream) touch(which ...reactor.Timeout) {
	for _, timeout := range which {
		s.since[timeout] = s.w.clock.now
	}
}

// see notices what the kernel has taken, which it does at the present time.
func (s *timedStream) see() {
	if taken := s.stream.Accepted() - uint64(s.stream.Buffered()); taken != s.taken {
		s.taken = taken
		s.touch(reactor.WriteTimeout, reactor.IdleTimeout)
	}
}

func (s *timedStream) reads() bool { return !s.eof && !s.stream.Paused() && !s.stream.Closed() }

// late is for how long a timeout ought to have been over.
func (s *timedStream) late(which reactor.Timeout) time.Duration {
	return s.w.clock.now - s.since[which] - s.length[which]
}

func (s *timedStream) onTimeout(which reactor.Timeout) {
	s.see()
	first := s.judged != s.w.loop.Stats().Iterations // else the callback may have changed what there is
	s.judged = s.w.loop.Stats().Iterations
	r, wr := s.stream.FDs()
	switch {
	case s.length[which] == 0 || s.late(which) < 0:
		s.w.t.Errorf("%v after %v of %v", which, s.w.clock.now-s.since[which], s.length[which])
	case which == reactor.ReadTimeout && !s.reads():
		s.w.t.Errorf("%v of a stream that does not read", which)
	case which == reactor.WriteTimeout && s.stream.Buffered() == 0:
		s.w.t.Errorf("%v with nothing to write", which)
	case first && which != reactor.WriteTimeout && s.reads() && fdtest.Readable(s.w.t, r):
		s.w.t.Errorf("%v with bytes to read", which)
	case first && which != reactor.ReadTimeout && s.stream.Buffered() > 0 && hasRoom(wr):
		s.w.t.Errorf("%v with room to write", which)
	}
	s.touch(which)
	s.w.callback()
}

func hasRoom(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents != 0
}

// poll is one iteration, after which no timeout is overdue. How long bytes have waited is
// the loop's to know.
func (w *timedWorld) poll() {
	must(w.t, w.loop.Poll(0))
	verify(w.t, w.loop)
	for i, s := range w.streams {
		s.see()
		if s.stream.Closed() {
			continue
		}
		for which, counts := range map[reactor.Timeout]bool{reactor.IdleTimeout: true, reactor.ReadTimeout: s.reads()} {
			if counts && s.length[which] > 0 && s.late(which) >= 0 {
				w.t.Errorf("stream %d: the %v is late by %v", i, which, s.late(which))
			}
		}
	}
}

// do is one random thing.
func (w *timedWorld) do(s *timedStream) {
	switch w.rnd.IntN(20) {
	case 0, 1, 2:
		s.set([]reactor.Timeout{reactor.IdleTimeout, reactor.ReadTimeout, reactor.WriteTimeout}[w.rnd.IntN(3)])
	case 3:
		must(w.t, s.stream.Pause())
	case 4, 5:
		if s.stream.Paused() {
			s.touch(reactor.ReadTimeout)
		}
		must(w.t, s.stream.Resume())
	case 6:
		s.stream.Flush()
	case 7:
		if w.rnd.IntN(20) == 0 {
			s.stream.CloseWrite()
		}
	case 8:
		if w.rnd.IntN(20) == 0 {
			s.peer.CloseRead()
		}
	case 9:
		if w.rnd.IntN(20) == 0 && s.peer.Write >= 0 {
			s.peer.CloseWrite()
		}
	case 10, 11, 12:
		_ = s.stream.Write(make([]byte, w.rnd.IntN(9000))) // an error is for other tests
	case 13, 14:
		if s.peer.Read >= 0 {
			s.peer.Available(w.t)
		}
	case 15: // more than one wait reports
		for _, other := range w.streams {
			other.send()
		}
	default:
		s.send()
	}
	s.see()
}

func (s *timedStream) send() {
	if s.peer.Write >= 0 {
		s.peer.Offer(s.w.t, []byte("x"))
	}
}

func (s *timedStream) set(which reactor.Timeout) {
	d := time.Duration(max(s.w.rnd.IntN(3000)-500, 0))
	s.length[which] = d
	s.touch(which)
	switch which {
	case reactor.IdleTimeout:
		s.stream.SetIdleTimeout(d)
	case reactor.ReadTimeout:
		s.stream.SetReadTimeout(d)
	default:
		s.stream.SetWriteTimeout(d)
	}
}
