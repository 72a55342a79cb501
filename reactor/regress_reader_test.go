package reactor_test

import (
	"io"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestPauseInTheLastUnitKeepsTheEOF: OnEOF was called on a stream that the function of
// the unit that the EOF ends had paused.
func TestPauseInTheLastUnitKeepsTheEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Reader().Push(reactor.Line(0).OrEOF(), func([]byte) {
			l.note("unit")
			must(t, l.stream.Pause())
		}))
		l.peer.Send(t, []byte("abc"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("unit") })
		pollTimes(t, l.loop, 2)
		l.wantCalls("unit")
		must(t, l.stream.Resume())
		pollTimes(t, l.loop, 2)
		l.wantCalls("unit eof")
	})
}

// TestReaderMadeWhileForwardingEndsWithTheEOF: it went on to accept what it could never
// deliver.
func TestReaderMadeWhileForwardingEndsWithTheEOF(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PipeTo(p.b.stream))
		r := p.a.stream.Reader()
		must(t, r.Push(reactor.Line(0), func([]byte) { t.Error("called") }))
		p.a.peer.CloseWrite()
		p.b.receiveEOF()
		wantErr(t, r.Push(reactor.Line(0), nil), io.EOF)
	})
}

// TestReaderMadeAfterTheEOFSaysSo: it refused with ErrClosed.
func TestReaderMadeAfterTheEOFSaysSo(t *testing.T) {
	delivered := func(l *link) { l.pollUntil(func() bool { return l.saw("eof") }) }
	forwarded := func(l *link) {
		sink := newLink(l.t, l.loop, fdtest.Transports()[0], nil)
		must(l.t, l.stream.PipeTo(sink.stream))
		sink.receiveEOF()
	}
	forwardedLate := func(l *link) {
		r := l.stream.Reader()
		must(l.t, r.Push(reactor.Fixed(1), func([]byte) {}))
		l.pollUntil(func() bool { return r.Buffered() == 1 })
		l.stream.Drain() // the EOF is owed, because somebody may ask for the rest
		forwarded(l)
	}
	for _, end := range []func(*link){delivered, forwarded, forwardedLate} {
		onLinks(t, nil, func(t *testing.T, l *link) {
			l.peer.Send(t, []byte("xy"))
			l.peer.CloseWrite()
			if end(l); l.stream.Closed() {
				t.Error("closed")
			}
			wantErr(t, l.stream.Reader().Push(reactor.Line(0), nil), io.EOF)
		})
	}
}
