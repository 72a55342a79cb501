package reactor_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestTortureWhatIsReadGoesOneWay couples streams at random, cuts their bytes into units,
// pauses, drains, detaches and ends them, from outside and from inside of callbacks. Every
// byte that a peer has sent goes to OnData, to a unit or to the stream that it is forwarded
// to, once and in order, and every byte that is written arrives, until somebody ends that.
func TestTortureWhatIsReadGoesOneWay(t *testing.T) {
	tortureRounds(t, 1, func(t *testing.T, seed uint64) {
		w := &flows{t: t, rnd: rand.New(rand.NewPCG(seed, 13)), loop: newLoop(t)}
		defer func() { w.depth = maxFlowDepth }()
		for range 3000 {
			w.step()
			w.settle()
			if w.rnd.IntN(3) == 0 {
				w.poll()
			}
			if t.Failed() {
				return
			}
		}
		w.end()
	})
}

// flows is a loop with streams that may be coupled.
type flows struct {
	t       *testing.T
	rnd     *rand.Rand
	loop    *reactor.Loop
	streams []*flow
	depth   int
}

// flow is a stream, its peer, and the bytes of both directions.
type flow struct {
	w        *flows
	stream   *reactor.Stream
	peer     *fdtest.End
	offset   int // makes its bytes differ from others'
	sent     int // by the peer
	consumed int // of that, by callbacks or the stream that it is forwarded to

	from     *flow  // what is written comes from there; nil: from the test
	sink     *flow  // forwarding
	accepted uint64 // accounted for
	want     []byte // all that was written
	got      []byte // by the peer

	eofs, closes int
	silent       bool // the peer has ended its writing
	dropped      bool // what is read is not asked for any more, or may be lost
	lossy        bool // what is written may be lost
}

// maxFlowDepth is how deep things are done inside of callbacks.
const maxFlowDepth = 2

func (w *flows) newFlow() {
	if len(w.streams) >= 60 {
		return
	}
	ours, theirs := fdtest.Transports()[w.rnd.IntN(2)].Open(w.t)
	w.t.Cleanup(theirs.Close)
	fdtest.Shrink(w.t, ours.Write)
	f := &flow{w: w, peer: theirs, offset: 1000 * len(w.streams)}
	var err error
	f.stream, err = w.loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		HighWater: 1 + w.rnd.IntN(20_000),
		OnData:    f.take,
		OnEOF: func() {
			w.settle()
			if f.eofs++; f.eofs > 1 || f.stream.Paused() || !f.dropped && f.consumed != f.sent {
				w.t.Errorf("EOF number %d after %d of %d bytes, paused %v", f.eofs, f.consumed, f.sent, f.stream.Paused())
			}
			w.inside()
		},
		OnDrain: w.inside,
		OnClose: func(err error) {
			var partial *reactor.PartialError
			if w.settle(); errors.As(err, &partial) && !f.dropped { // else it may be of the other of two
				f.take(partial.Partial)
			}
			f.lossy = f.lossy || err != nil
			if f.closes++; f.closes > 1 {
				w.t.Error("a second OnClose")
			}
			w.inside()
		},
	})
	must(w.t, err)
	w.streams = append(w.streams, f)
}

// take is OnData and what gets units.
func (f *flow) take(data []byte) {
	f.w.settle()
	if f.sink != nil {
		f.w.t.Error("data of a stream that is forwarded")
	}
	f.consume(data)
	f.w.inside()
}

func (f *flow) consume(data []byte) {
	wantBytes(f.w.t, data, pattern(f.offset+f.consumed, len(data)))
	f.consumed += len(data)
}

func (w *flows) inside() {
	if w.depth < maxFlowDepth && w.rnd.IntN(2) == 0 {
		w.depth++
		w.settle()
		w.step()
		w.settle()
		w.depth--
	}
}

// settle accounts for what has been forwarded.
func (w *flows) settle() {
	for _, f := range w.streams {
		n := int(f.stream.Accepted() - f.accepted)
		f.accepted += uint64(n)
		switch from := f.from; {
		case n == 0:
		case from == nil:
			w.t.Errorf("%d bytes were written by nobody", n)
		default:
			f.want = append(f.want, pattern(from.offset+from.consumed, n)...)
			from.consumed += n
		}
	}
	for _, f := range w.streams {
		if f.sink != nil && (f.stream.Closed() || f.sink.stream.Closed()) {
			f.uncouple(true)
		}
	}
}

// uncouple forgets the sink.
func (f *flow) uncouple(lost bool) {
	if f.sink == nil {
		return
	}
	if lost { // both are closed, whatever was queued or not read
		f.dropped, f.lossy, f.sink.dropped, f.sink.lossy = true, true, true, true
	}
	f.sink.from, f.sink = nil, nil
}

// write is the test's own.
func (f *flow) write(n int) {
	piece := pattern(7*len(f.want), n)
	if f.from == nil && f.stream.Write(piece) == nil {
		f.want = append(f.want, piece...)
		f.accepted += uint64(n)
	}
}

func (w *flows) step() {
	if len(w.streams) == 0 || w.rnd.IntN(40) == 0 {
		w.newFlow()
		return
	}
	f := w.streams[w.rnd.IntN(len(w.streams))]
	switch n := w.rnd.IntN(100); {
	case n < 30:
		f.offer(1 + w.rnd.IntN(5000))
	case n < 50:
		f.receive()
	case n < 60:
		f.write(1 + w.rnd.IntN(9000))
	case n < 65:
		_ = f.stream.Pause()
	case n < 75:
		_ = f.stream.Resume()
	case n < 82:
		f.pipe(w.streams[w.rnd.IntN(len(w.streams))])
	case n < 84:
		must(w.t, f.stream.PipeTo(nil))
		f.uncouple(false)
	case n < 90:
		_ = f.stream.Reader().Push(reactor.Fixed(w.rnd.IntN(3000)).OrEOF(), f.take) // an error says that there is an end
	case n < 91:
		_ = f.stream.Reader().Each(reactor.Fixed(1+w.rnd.IntN(300)), f.take)
	case n < 93:
		if !f.stream.Paused() {
			f.stream.Drain()
		}
	case n < 95:
		f.stream.Flush()
	case n < 97:
		if !f.silent && w.rnd.IntN(4) == 0 {
			f.peer.CloseWrite()
			f.silent = true
		}
	default:
		if w.rnd.IntN(5) == 0 {
			f.finish()
		}
	}
}

func (f *flow) pipe(to *flow) {
	f.w.settle()
	if to.from != nil && to.from != f || to == f.sink {
		return // its bytes could not be told apart
	}
	if f.stream.PipeTo(to.stream) != nil {
		return
	}
	f.uncouple(false)
	f.sink, to.from = to, f
	f.w.settle() // if both are closed already
}

// finish ends a stream in one of the ways.
func (f *flow) finish() {
	switch f.w.rnd.IntN(5) {
	case 0:
		f.dropped, f.lossy = true, true
		f.stream.Close()
	case 1:
		f.dropped = true
		f.stream.CloseRead()
	case 2:
		f.stream.CloseWrite()
		if f.from != nil {
			f.from.dropped = true // when it next reads
		}
	case 3:
		f.dropped = true
		if f.from != nil {
			f.from.dropped = true
		}
		f.stream.CloseAfterFlush(-1)
	case 4:
		f.detach()
	}
}

func (f *flow) detach() {
	f.w.settle()
	closed := f.stream.Closed()
	r, w, unread, unwritten := f.stream.Detach()
	f.consume(unread)
	if !closed {
		if !bytes.HasSuffix(f.want, unwritten) {
			f.w.t.Errorf("%d bytes are given back that are not the last written", len(unwritten))
		}
		f.want = f.want[:max(len(f.want)-len(unwritten), 0)]
	}
	f.dropped = true
	(&fdtest.End{Read: r, Write: w}).Close()
	f.uncouple(false)
	if f.from != nil {
		f.from.uncouple(false)
	}
}

// offer has the peer send, and receive has it read.
func (f *flow) offer(n int) {
	if !f.silent {
		f.sent += f.peer.Offer(f.w.t, pattern(f.offset+f.sent, n))
	}
}

func (f *flow) receive() {
	data, _ := f.peer.Available(f.w.t)
	f.got = append(f.got, data...)
}

func (w *flows) poll() {
	must(w.t, w.loop.Poll(0))
	w.settle()
	verify(w.t, w.loop)
	for _, f := range w.streams {
		if !bytes.HasPrefix(f.want, f.got) && !f.lossy {
			wantBytes(w.t, f.got, f.want)
		}
	}
}

// end lets everything arrive that can.
func (w *flows) end() {
	w.depth = maxFlowDepth
	for range 200 {
		for _, f := range w.streams {
			_ = f.stream.Resume()
			_ = f.stream.Reader().Each(reactor.Fixed(1), f.take)
			f.receive()
		}
		w.poll()
	}
	for i, f := range w.streams {
		if !f.lossy {
			wantBytes(w.t, f.got, f.want)
		}
		if !f.dropped && f.consumed+f.stream.Reader().Buffered() != f.sent { // of a unit that never comes
			w.t.Errorf("stream %d: %d of %d bytes were consumed, closed %d", i, f.consumed, f.sent, f.closes)
		}
	}
	for _, f := range w.streams {
		f.stream.Close()
	}
	w.poll()
}
