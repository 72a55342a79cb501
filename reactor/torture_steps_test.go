package reactor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestTortureInvariantsHoldAfterEveryStep does random things to a loop, from
// outside and from inside of callbacks, and asks Verify after each.
func TestTortureInvariantsHoldAfterEveryStep(t *testing.T) {
	tortureRounds(t, 1, func(t *testing.T, seed uint64) {
		s := &steps{t: t, loop: newLoop(t), rnd: rand.New(rand.NewPCG(seed, 0))}
		for range 2000 {
			s.random()()
			verify(t, s.loop)
			if s.rnd.IntN(3) == 0 {
				must(t, s.loop.Poll(0))
				verify(t, s.loop)
			}
			if t.Failed() {
				break
			}
		}
		s.end()
	})
}

// maxDepth is how deep things are done inside of callbacks of each other.
const maxDepth = 3

// steps is a loop and what the test has on it.
type steps struct {
	t    *testing.T
	loop *reactor.Loop
	rnd  *rand.Rand

	ends     []*fdtest.End // of which both sides are ours
	watchers []*reactor.FDWatcher
	timers   []*reactor.Timer
	streams  []*reactor.Stream
	peers    []*fdtest.End // of the streams
	depth    int           // of things done inside of callbacks
}

// inside is what every callback does: sometimes another step.
func (s *steps) inside() {
	if s.depth < maxDepth && s.rnd.IntN(2) == 0 {
		s.depth++
		s.random()()
		s.depth--
	}
}

func (s *steps) random() func() {
	all := []func(){s.newPipe, s.newWatcher, s.newTimer, s.newStream, s.post, s.closePipe,
		s.changeWatcher, s.changeWatcher, s.changeTimer, s.changeTimer, s.changeStream, s.changeStream, s.changePeer}
	return all[s.rnd.IntN(len(all))]
}

// pick returns one of a list, or the zero value.
func pick[T any](s *steps, list []T) (one T) {
	if len(list) > 0 {
		one = list[s.rnd.IntN(len(list))]
	}
	return one
}

func (s *steps) newPipe() {
	if len(s.ends) < 20 {
		transport := pick(s, fdtest.Transports())
		ours, theirs := transport.Open(s.t)
		s.ends = append(s.ends, ours, theirs)
	}
}

// closePipe keeps the rule: the watchers are stopped first.
func (s *steps) closePipe() {
	e := pick(s, s.ends)
	if e == nil {
		return
	}
	for _, w := range s.watchers {
		if w.FD() == e.Read || w.FD() == e.Write {
			must(s.t, w.Stop())
		}
	}
	s.watchers = without(s.watchers, func(w *reactor.FDWatcher) bool { return w.FD() == e.Read || w.FD() == e.Write })
	s.ends = without(s.ends, func(x *fdtest.End) bool { return x == e })
	e.Close()
}

func without[T any](list []T, drop func(T) bool) (kept []T) {
	for _, x := range list {
		if !drop(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

func (s *steps) newWatcher() {
	e := pick(s, s.ends)
	if e == nil || len(s.watchers) > 50 {
		return
	}
	fd := e.Read
	if s.rnd.IntN(2) == 0 {
		fd = e.Write
	}
	w, err := s.loop.WatchFD(fd, s.interest(), func(reactor.Ready) { s.inside() })
	must(s.t, err)
	s.watchers = append(s.watchers, w)
}

func (s *steps) interest() reactor.Ready { return reactor.Ready(1 + s.rnd.IntN(7)) }

func (s *steps) changeWatcher() {
	w := pick(s, s.watchers)
	if w == nil {
		return
	}
	switch s.rnd.IntN(5) {
	case 0:
		must(s.t, w.Stop())
	case 1:
		must(s.t, w.Start())
	case 2:
		must(s.t, w.SetInterest(s.interest()))
	case 3:
		w.Unref()
	default:
		w.Ref()
	}
}

func (s *steps) newTimer() {
	if len(s.timers) < 50 {
		period := time.Duration(s.rnd.IntN(2) * s.rnd.IntN(1e6))
		s.timers = append(s.timers, s.loop.Every(s.delay(), period, s.inside))
	}
}

func (s *steps) delay() time.Duration { return time.Duration(s.rnd.IntN(1e5) - 1e4) }

func (s *steps) changeTimer() {
	timer := pick(s, s.timers)
	if timer == nil {
		return
	}
	switch s.rnd.IntN(5) {
	case 0:
		timer.Stop()
	case 1:
		timer.Start()
	case 2:
		timer.Reset(s.delay())
	case 3:
		timer.Unref()
	default:
		timer.Ref()
	}
}

func (s *steps) newStream() {
	if len(s.streams) > 100 {
		return
	}
	transport := pick(s, fdtest.Transports())
	ours, theirs := transport.Open(s.t)
	fdtest.Shrink(s.t, ours.Write)
	closed := 0
	stream, err := s.loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		HighWater:    1 + s.rnd.IntN(10_000),
		MaxBuffered:  1 + s.rnd.IntN(100_000),
		OnData:       func([]byte) { s.inside() },
		OnEOF:        s.inside,
		OnDrain:      s.inside,
		OnWriteError: func(error) { s.inside() },
		OnClose: func(error) {
			if closed++; closed > 1 {
				s.t.Error("a second OnClose")
			}
			s.inside()
		},
	})
	must(s.t, err)
	s.streams = append(s.streams, stream)
	s.peers = append(s.peers, theirs)
}

func (s *steps) changeStream() {
	stream := pick(s, s.streams)
	if stream == nil {
		return
	}
	switch s.rnd.IntN(8) {
	case 0:
		stream.Close()
	case 1:
		stream.CloseWrite()
	case 2:
		must(s.t, stream.Pause())
	case 3:
		must(s.t, stream.Resume())
	case 4:
		stream.Flush()
	case 5:
		if s.depth == 0 {
			stream.Drain()
		}
	default:
		stream.Write(make([]byte, s.rnd.IntN(20_000))) // refused when full or closed
	}
}

// changePeer has the other end of a stream read, write or go.
func (s *steps) changePeer() {
	peer := pick(s, s.peers)
	if peer == nil || peer.Read < 0 || peer.Write < 0 {
		return
	}
	switch s.rnd.IntN(6) {
	case 0:
		peer.CloseWrite()
	case 1:
		peer.CloseRead()
	case 2:
		peer.Close()
	case 3:
		peer.Available(s.t)
	default:
		peer.Offer(s.t, make([]byte, s.rnd.IntN(20_000)))
	}
}

func (s *steps) post() { must(s.t, s.loop.Post(s.inside)) }

// end closes everything that is the test's own. Callbacks do nothing more.
func (s *steps) end() {
	s.depth = maxDepth
	for _, w := range s.watchers {
		must(s.t, w.Stop())
	}
	s.watchers = nil
	for _, e := range append(s.ends, s.peers...) {
		e.Close()
	}
	s.ends, s.peers = nil, nil
	must(s.t, s.loop.Close())
	for _, stream := range s.streams {
		if !stream.Closed() {
			s.t.Error("a stream outlived its loop")
		}
	}
}
