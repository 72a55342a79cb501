package reactor_test

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// modelStream is a stream, the other end, and the bytes between them.
type modelStream struct {
	w      *world
	stream *reactor.Stream
	peer   *fdtest.End

	out, peerIn   pipeModel // from the stream to the peer
	in, peerOut   pipeModel // from the peer to the stream
	eofs, closed  int
	ended         bool // the peer has gone, or the stream was closed: bytes may be lost
	deferredCalls int
}

// pipeModel counts the records at one end.
type pipeModel struct {
	sink
	source
}

func (w *world) newStream() {
	open := 0
	for _, s := range w.streams {
		if s.closed == 0 {
			open++
		}
	}
	if open >= maxModelStreams || len(w.streams) > 30 {
		return
	}
	ours, theirs := one(w, fdtest.Transports()).Open(w.t)
	fdtest.Shrink(w.t, ours.Write)
	m := &modelStream{w: w, peer: theirs}
	m.out.left, m.peerOut.left = 1<<30, 1<<30
	high := 1 + w.rnd.IntN(30_000)
	s, err := w.loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		HighWater:     high,
		MaxBuffered:   high + w.rnd.IntN(30_000),
		EdgeTriggered: w.rnd.IntN(2) == 0,
		OnData:        m.onData,
		OnEOF:         m.onEOF,
		OnDrain:       func() { m.deferred() },
		// Called amid a flush: it does nothing here, or the model's idea of what the
		// coming wait will bring would be wrong.
		OnWriteError: func(error) { m.ended = true },
		OnClose: func(error) {
			if m.closed++; m.closed > 1 {
				w.t.Error("a second OnClose")
			}
			m.deferred()
		},
	})
	must(w.t, err)
	m.stream = s
	w.streams = append(w.streams, m)
}

func (m *modelStream) onData(data []byte) {
	m.w.called(levelOf(0), math.MaxInt)
	if m.stream.Closed() || m.stream.Paused() || m.eofs > 0 {
		m.w.t.Errorf("data on a stream that is closed %v, paused %v, at EOF %v", m.stream.Closed(), m.stream.Paused(), m.eofs)
	}
	m.in.take(m.w.t, data)
	m.inside()
}

func (m *modelStream) onEOF() {
	m.w.called(levelOf(0), math.MaxInt)
	if m.eofs++; m.eofs > 1 || m.in.got != m.peerOut.at {
		m.w.t.Errorf("EOF number %d after %d of %d bytes", m.eofs, m.in.got, m.peerOut.at)
	}
	m.inside()
}

func (m *modelStream) deferred() {
	m.deferredCalls++
	m.w.happened = min(m.w.happened, levelOf(0))
	m.inside()
}

// inside notes that a panic here fails the stream.
func (m *modelStream) inside() {
	panics := m.w.panics
	defer func() {
		if m.w.panics > panics {
			m.ended = true
		}
	}()
	m.w.inside()
}

func (w *world) changeStream() {
	m := one(w, w.streams)
	if m == nil {
		return
	}
	switch w.rnd.IntN(12) {
	case 0:
		if w.rnd.IntN(3) == 0 {
			m.stream.Close()
			m.ended = true
		}
	case 1:
		if w.rnd.IntN(3) == 0 {
			m.stream.CloseWrite()
		}
	case 2:
		must(w.t, m.stream.Pause())
	case 3, 4:
		must(w.t, m.stream.Resume())
	case 5:
		m.stream.Flush()
	default:
		m.write(1 + w.rnd.IntN(20_000))
	}
}

func (m *modelStream) write(n int) {
	piece := m.out.peek(n)
	err := m.stream.Write(piece)
	switch {
	case err == nil:
		m.out.advance(len(piece))
	case errors.Is(err, reactor.ErrBufferFull), errors.Is(err, reactor.ErrClosed), errors.Is(err, unix.EPIPE):
	case m.stream.Closed() && errors.As(err, new(*reactor.Panic)): // one of its callbacks has
	default:
		m.w.t.Errorf("write: %v", err)
	}
}

// changePeer has the other end of a stream read, write or go.
func (w *world) changePeer() {
	m := one(w, w.streams)
	if m == nil || m.peer.Read < 0 || m.peer.Write < 0 {
		return
	}
	switch w.rnd.IntN(16) {
	case 0:
		m.peer.CloseWrite()
	case 1:
		m.peer.CloseRead()
		m.ended = true
	case 2:
		m.peer.Close()
		m.ended = true
	case 3, 4, 5, 6, 7, 8:
		m.receive()
	default:
		m.peerOut.advance(m.peer.Offer(w.t, m.peerOut.peek(1+w.rnd.IntN(20_000))))
	}
}

func (m *modelStream) receive() {
	data, _ := m.peer.Available(m.w.t)
	m.peerIn.take(m.w.t, data)
}

// endStreams has every stream that still can deliver what was accepted, both ways.
func (w *world) endStreams() {
	for _, m := range w.streams {
		must(w.t, m.stream.Resume())
	}
	for range 1000 {
		left := 0
		for _, m := range w.streams {
			if m.peer.Read >= 0 {
				m.receive()
			}
			if !m.ended && m.closed == 0 {
				left += m.out.at - m.peerIn.got + m.peerOut.at - m.in.got
			}
		}
		if left == 0 {
			break
		}
		w.iterate()
	}
	for i, m := range w.streams {
		if !m.ended && (m.peerIn.got != m.out.at || m.in.got != m.peerOut.at) {
			w.t.Errorf("stream %d: the peer has got %d of %d bytes, the stream %d of %d, closed %d",
				i, m.peerIn.got, m.out.at, m.in.got, m.peerOut.at, m.closed)
		}
		m.stream.Close()
	}
	w.iterate()
}
