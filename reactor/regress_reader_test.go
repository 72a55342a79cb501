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

// TestReaderMadeWhileForwardingWaitsForTheEndOfThat: it was given units of no bytes, and
// asking it for nothing, or a Resume, stopped the forwarding.
func TestReaderMadeWhileForwardingWaitsForTheEndOfThat(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PipeTo(p.b.stream))
		var units []string
		note := func(unit []byte) { units = append(units, string(unit)) }
		r := p.a.stream.Reader()
		must(t, r.Each(reactor.Line(0), nil))
		must(t, p.a.stream.Pause())
		must(t, p.a.stream.Resume())
		pollTimes(t, p.a.loop, 2)
		must(t, r.Push(reactor.Fixed(0), note))
		must(t, p.a.stream.Pause())
		must(t, p.a.stream.Resume())
		p.a.peer.Send(t, []byte("forwarded"))
		p.b.receive(len("forwarded"))
		pollTimes(t, p.a.loop, 2)
		if len(units) > 0 {
			t.Errorf("units %q of a stream that is forwarded", units)
		}
		must(t, p.a.stream.PipeTo(nil))
		must(t, r.Push(reactor.Line(0), note))
		p.a.peer.Send(t, []byte("a line\n"))
		p.a.pollUntil(func() bool { return len(units) == 2 })
		if units[0] != "" || units[1] != "a line" {
			t.Errorf("units %q", units)
		}
		verify(t, p.a.loop)
	})
}

// TestReaderThatAsksForNothingPausesWhenForwardingEnds: the stream was read from once more.
func TestReaderThatAsksForNothingPausesWhenForwardingEnds(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PipeTo(p.b.stream))
		r := p.a.stream.Reader()
		must(t, p.a.stream.PipeTo(nil))
		p.a.peer.Send(t, []byte("x"))
		pollTimes(t, p.a.loop, 3)
		if n := r.Buffered(); n > 0 {
			t.Errorf("%d bytes were read that nobody has asked for", n)
		}
	})
}
