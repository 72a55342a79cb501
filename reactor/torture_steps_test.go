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
		s.changeWatcher, s.changeWatcher, s.changeTimer, s.changeTimer, s.changeStream, s.changeStream, s.endStream, s.coupleStream, s.timeStream, s.readUnits, s.changePeer}
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
	s.streams = without(s.streams, (*reactor.Stream).Closed)
	if len(s.streams) > 100 || len(s.peers) > 300 {
		return
	}
	transport := pick(s, fdtest.Transports())
	ours, theirs := transport.Open(s.t)
	fdtest.Shrink(s.t, ours.Write)
	s.adopt(ours.Read, ours.Write)
	s.peers = append(s.peers, theirs)
}

// adopt makes a stream of descriptors, new ones or such as another has given back.
func (s *steps) adopt(r, w int) {
	closed := 0
	stream, err := s.loop.NewStream(r, w, reactor.StreamConfig{
		HighWater:    1 + s.rnd.IntN(10_000),
		MaxBuffered:  1 + s.rnd.IntN(100_000),
		OnData:       func([]byte) { s.inside() },
		OnEOF:        s.inside,
		OnDrain:      s.inside,
		OnWriteError: func(error) { s.inside() },
		OnTimeout:    s.onTimeout(),
		OnClose: func(error) {
			if closed++; closed > 1 {
				s.t.Error("a second OnClose")
			}
			s.inside()
		},
	})
	must(s.t, err)
	s.streams = append(s.streams, stream)
}

func (s *steps) changeStream() {
	stream := pick(s, s.streams)
	if stream == nil {
		return
	}
	switch s.rnd.IntN(7) {
	case 0:
		must(s.t, stream.Pause())
	case 1:
		must(s.t, stream.Resume())
	case 2:
		stream.Flush()
	case 3:
		stream.Writev(make([]byte, s.rnd.IntN(100)), nil, make([]byte, s.rnd.IntN(100_000)))
	case 4:
		if s.depth == 0 {
			stream.Drain()
		}
	default:
		stream.Write(make([]byte, s.rnd.IntN(20_000))) // refused when full or closed
	}
}

// onTimeout is nil for every other stream, which then fails.
func (s *steps) onTimeout() func(reactor.Timeout) {
	if s.rnd.IntN(2) == 0 {
		return nil
	}
	return func(reactor.Timeout) { s.inside() }
}

// endStream ends a stream, or half of it, in one of the ways.
func (s *steps) endStream() {
	stream := pick(s, s.streams)
	if stream == nil {
		return
	}
	switch s.rnd.IntN(5) {
	case 0:
		stream.Close()
	case 1:
		stream.CloseWrite()
	case 2:
		stream.CloseRead()
	case 3:
		stream.CloseAfterFlush(time.Duration(s.rnd.IntN(1e6)) - 1)
	default:
		r, w, _, unwritten := stream.Detach()
		if r < 0 && w < 0 {
			return
		}
		s.adopt(r, w)
		s.streams[len(s.streams)-1].Write(unwritten) // refused if it is too much for the new one
	}
}

// coupleStream couples a stream to another, or itself, or to none.
func (s *steps) coupleStream() {
	from, to := pick(s, s.streams), pick(s, s.streams)
	if from == nil {
		return
	}
	switch s.rnd.IntN(5) {
	case 0:
		must(s.t, from.PipeTo(nil))
	case 1, 2:
		from.PauseWhileCongested(to) // refused if one is closed
	default:
		from.PipeTo(to)
	}
}

func (s *steps) timeStream() {
	stream := pick(s, s.streams)
	if stream == nil {
		return
	}
	d := time.Duration(s.rnd.IntN(3e6)) - 1e6
	switch s.rnd.IntN(3) {
	case 0:
		stream.SetIdleTimeout(d)
	case 1:
		stream.SetReadTimeout(d)
	default:
		stream.SetWriteTimeout(d)
	}
}

// readUnits asks the reader of a stream for something. What it refuses, because
// the stream has ended, it does not call either.
func (s *steps) readUnits() {
	stream := pick(s, s.streams)
	if stream == nil {
		return
	}
	r := stream.Reader()
	unit := reactor.Fixed(s.rnd.IntN(30_000))
	if s.rnd.IntN(3) == 0 {
		unit = reactor.Line(1 + s.rnd.IntN(100_000)) // of which there are none: the peers send zeros
	}
	inside := func([]byte) { s.inside() }
	switch s.rnd.IntN(4) {
	case 0:
		r.Each(unit, inside)
	case 1:
		r.Each(unit, nil)
	case 2:
		r.Push(unit, inside)
	default:
		r.Unshift(unit, inside)
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
