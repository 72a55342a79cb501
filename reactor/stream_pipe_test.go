package reactor_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// A proxy is two links whose streams are coupled: the test drives both far ends.
type proxy struct{ a, b *link }

// onProxies runs body with fresh proxies over each pair of transports, not yet
// coupled.
func onProxies(t *testing.T, config func(l *link) reactor.StreamConfig, body func(t *testing.T, p proxy)) {
	for _, ta := range fdtest.Transports() {
		for _, tb := range fdtest.Transports() {
			t.Run(ta.Name+" to "+tb.Name, func(t *testing.T) {
				loop := newLoop(t)
				body(t, proxy{newLink(t, loop, ta, config), newLink(t, loop, tb, config)})
			})
		}
	}
}

// connect couples both directions.
func (p proxy) connect(t *testing.T) {
	t.Helper()
	must(t, p.a.stream.PipeTo(p.b.stream))
	must(t, p.b.stream.PipeTo(p.a.stream))
}

func (p proxy) pollUntilClosed() {
	p.a.pollUntil(func() bool { return p.a.closed > 0 && p.b.closed > 0 })
}

func TestProxyForwardsEverythingBothWaysToSlowReaders(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 20_000, MaxBuffered: 1000} }
	onProxies(t, config, func(t *testing.T, p proxy) {
		p.connect(t)
		there, back := pattern(0, 3<<20), pattern(7, 2<<20)
		var far sync.WaitGroup
		far.Go(func() { p.a.peer.Send(t, there); p.a.peer.CloseWrite() })
		far.Go(func() { p.b.peer.Send(t, back); p.b.peer.CloseWrite() })
		var gotThere, gotBack []byte
		far.Go(func() { gotThere = receiveSlowly(t, p.b.peer) })
		far.Go(func() { gotBack = receiveSlowly(t, p.a.peer) })
		p.a.pollUntil(func() bool {
			verify(t, p.a.loop)
			if n := max(p.a.stream.Buffered(), p.b.stream.Buffered()); n > 20_000+reactor.ReadBufferSize {
				t.Fatalf("%d bytes are queued", n)
			}
			return p.a.closed > 0 && p.b.closed > 0
		})
		far.Wait()
		wantBytes(t, gotThere, there)
		wantBytes(t, gotBack, back)
		if p.a.closeErr != nil || p.b.closeErr != nil {
			t.Errorf("closed with %v and %v", p.a.closeErr, p.b.closeErr)
		}
		if p.a.saw("data") || p.a.saw("eof") || p.b.saw("data") || p.b.saw("eof") {
			t.Errorf("the callbacks were %v and %v", p.a.calls, p.b.calls)
		}
	})
}

// receiveSlowly reads random amounts up to the EOF.
func receiveSlowly(t *testing.T, e *fdtest.End) (all []byte) {
	rnd := rand.New(rand.NewPCG(5, 6))
	buf := make([]byte, 50_000)
	for {
		n := e.Receive(t, buf[:1+rnd.IntN(len(buf))])
		if n == 0 {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

func TestPipeToForwardsTheEOFAsAHalfClose(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		p.connect(t)
		p.a.peer.Send(t, []byte("question"))
		p.a.peer.CloseWrite()
		wantBytes(t, p.b.receiveEOF(), []byte("question"))
		p.b.peer.Send(t, []byte("answer"))
		wantBytes(t, p.a.receive(6), []byte("answer"))
		p.b.peer.CloseWrite()
		p.a.receiveEOF()
		p.pollUntilClosed()
	})
}

func TestPipeToAStreamItselfIsAnEcho(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.PipeTo(l.stream))
		want := pattern(0, 3<<20)
		var sender sync.WaitGroup
		sender.Go(func() { l.peer.Send(t, want); l.peer.CloseWrite() })
		wantBytes(t, l.receiveEOF(), want)
		sender.Wait()
		l.pollUntil(func() bool { return l.closed > 0 })
		if l.saw("data") || l.saw("eof") || l.closeErr != nil {
			t.Errorf("the callbacks were %v, closed with %v", l.calls, l.closeErr)
		}
	})
}

func TestPauseAndCongestionDoNotCancelEachOther(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }
	onProxies(t, config, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PauseWhileCongested(p.b.stream))
		p.b.fill(1000)
		must(t, p.a.stream.Pause())
		must(t, p.a.stream.Resume()) // b is congested still
		p.a.peer.Send(t, []byte("x"))
		pollTimes(t, p.a.loop, 3)
		p.a.wantCalls("")
		must(t, p.a.stream.Pause())
		for p.b.stream.Buffered() > 0 { // a is paused still
			p.b.peer.Available(t)
			p.b.poll()
		}
		pollTimes(t, p.a.loop, 3)
		p.a.wantCalls("")
		must(t, p.a.stream.Resume())
		p.a.pollUntil(func() bool { return p.a.saw("data") })
	})
}

func TestCongestionPausesAtOnceAndResumesWithoutACallback(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 10_000} }
	onProxies(t, config, func(t *testing.T, p proxy) {
		p.b.fill(500)
		must(t, p.a.stream.PauseWhileCongested(p.b.stream))
		p.a.peer.Send(t, []byte("x"))
		p.a.pollUntil(func() bool { return len(p.a.data) == 1 })
		must(t, p.b.stream.Write(make([]byte, 10_000)))
		p.a.peer.Send(t, []byte("y"))
		pollTimes(t, p.a.loop, 2)
		if len(p.a.data) != 1 || p.a.stream.Paused() {
			t.Errorf("%q was read, paused %v", p.a.data, p.a.stream.Paused())
		}
		p.a.pollUntil(func() bool {
			p.b.peer.Available(t)
			return len(p.a.data) == 2
		})
	})
}

func TestStreamPausedByItsOwnCongestion(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }
	onLinks(t, config, func(t *testing.T, l *link) {
		must(t, l.stream.PauseWhileCongested(l.stream))
		l.fill(1000)
		l.peer.Send(t, []byte("x"))
		pollTimes(t, l.loop, 3)
		if l.saw("data") || !l.stream.Congested() {
			t.Errorf("congested %v, the callbacks were %v", l.stream.Congested(), l.calls)
		}
		l.pollUntil(func() bool {
			l.peer.Available(t)
			return l.saw("data")
		})
		l.stream.Close() // ends the coupling at both of its ends
		verify(t, l.loop)
	})
}

func TestCouplingEndsWithEitherStream(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }
	onProxies(t, config, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PauseWhileCongested(p.b.stream))
		p.b.fill(1000)
		p.a.peer.Send(t, []byte("x"))
		p.b.stream.Close()
		verify(t, p.a.loop)
		p.a.pollUntil(func() bool { return p.a.saw("data") }) // nothing holds it any more
		if p.a.stream.Closed() {
			t.Error("closed, though it forwards nothing")
		}
		wantErr(t, p.a.stream.PauseWhileCongested(p.b.stream), reactor.ErrClosed)
	})
	onProxies(t, config, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PauseWhileCongested(p.b.stream))
		p.a.stream.Close()
		verify(t, p.a.loop)
		p.b.fill(1000)
	})
}

func TestPipeToNilGivesTheBytesToOnDataAgain(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PipeTo(p.b.stream))
		p.a.peer.Send(t, []byte("forwarded"))
		wantBytes(t, p.b.receive(9), []byte("forwarded"))
		must(t, p.a.stream.PipeTo(nil))
		must(t, p.a.stream.PipeTo(nil))
		p.a.peer.Send(t, []byte("delivered"))
		p.a.pollUntil(func() bool { return len(p.a.data) == 9 })
		p.a.stream.Close()
		pollTimes(t, p.a.loop, 2)
		if p.b.stream.Closed() {
			t.Error("closed by a stream that is independent of it")
		}
	})
}

// TestReaderThatIsGoneEndsTheOneThatReadsForIt as in a shell's pipeline, and what
// goes the other way still arrives.
func TestReaderThatIsGoneEndsTheOneThatReadsForIt(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		p.connect(t)
		p.b.peer.CloseRead()
		p.a.pollUntil(func() bool {
			if p.a.peer.Write >= 0 && !p.b.saw("write error") {
				p.a.peer.Offer(t, []byte("x"))
			}
			return p.b.saw("write error")
		})
		p.b.peer.Send(t, []byte("goes the other way"))
		p.b.peer.CloseWrite()
		wantBytes(t, p.a.receiveEOF(), []byte("goes the other way"))
		if n := p.a.peer.Offer(t, []byte("x")); n != 0 {
			t.Error("the far end does not notice that nobody reads for it")
		}
		p.pollUntilClosed()
	})
}

// TestInputForAReaderThatIsGoneCanBeDropped: so a socket is not closed with input
// that lies unread, and is not reset.
func TestInputForAReaderThatIsGoneCanBeDropped(t *testing.T) {
	var p proxy
	config := func(*link) reactor.StreamConfig {
		return reactor.StreamConfig{OnWriteError: func(error) { must(t, p.a.stream.PipeTo(nil)) }}
	}
	onProxies(t, config, func(t *testing.T, fresh proxy) {
		p = fresh
		p.connect(t)
		p.b.peer.CloseRead()
		var far sync.WaitGroup
		far.Go(func() { p.a.peer.Send(t, pattern(0, 1<<20)); p.a.peer.CloseWrite() })
		p.b.peer.Send(t, []byte("goes the other way"))
		p.b.peer.CloseWrite()
		wantBytes(t, p.a.receiveEOF(), []byte("goes the other way"))
		p.pollUntilClosed()
		far.Wait()
		wantErr(t, p.a.closeErr, nil)
	})
}

func TestClosingOneOfAPairClosesTheOtherWithItsError(t *testing.T) {
	for _, closeIt := range []struct {
		name string
		do   func(p proxy)
		want error
	}{
		{"Close of the first", func(p proxy) { p.a.stream.Close() }, nil},
		{"Close of the second", func(p proxy) { p.b.stream.Close() }, nil},
		{"a timeout", func(p proxy) { p.a.stream.SetReadTimeout(1) }, reactor.ErrTimeout},
	} {
		t.Run(closeIt.name, func(t *testing.T) {
			onProxies(t, nil, func(t *testing.T, p proxy) {
				p.connect(t)
				closeIt.do(p)
				p.pollUntilClosed()
				wantErr(t, p.a.closeErr, closeIt.want)
				wantErr(t, p.b.closeErr, closeIt.want)
			})
		})
	}
}

func TestPipeToRefusesWhatCannotWork(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		other := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
		wantErr(t, p.a.stream.PipeTo(other.stream), reactor.ErrInvalid)
		wantErr(t, p.a.stream.PauseWhileCongested(other.stream), reactor.ErrInvalid)
		p.b.stream.CloseWrite()
		wantErr(t, p.a.stream.PipeTo(p.b.stream), reactor.ErrClosed)
		p.a.stream.CloseRead()
		wantErr(t, p.a.stream.PipeTo(other.stream), reactor.ErrClosed)
	})
}

func TestSinkThatIsHalfClosedByItsOwnerEndsTheForwarding(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		must(t, p.a.stream.PipeTo(p.b.stream))
		p.b.stream.CloseWrite()
		p.a.peer.Send(t, []byte("for nobody"))
		p.a.pollUntil(func() bool { return p.a.peer.Offer(t, []byte("x")) == 0 })
		if p.a.stream.Closed() || p.b.stream.Closed() {
			t.Error("a half-close has closed all")
		}
		p.b.receiveEOF()
	})
}

// TestBufferedUnitsAreForwarded: a header is read, and everything behind it,
// some of which was read with it, goes on to another.
func TestBufferedUnitsAreForwarded(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		var header string
		must(t, p.a.stream.Reader().Push(reactor.Line(0), func(line []byte) {
			header = string(line)
			must(t, p.a.stream.PipeTo(p.b.stream))
		}))
		p.a.peer.Send(t, []byte("CONNECT b\nfirst "))
		wantBytes(t, p.b.receive(6), []byte("first "))
		p.a.peer.Send(t, []byte("second"))
		p.a.peer.CloseWrite()
		wantBytes(t, p.b.receiveEOF(), []byte("second"))
		if header != "CONNECT b" {
			t.Errorf("the header was %q", header)
		}
		var one [1]byte
		if n, err := unix.Read(p.a.peer.Read, one[:]); n > 0 || err == nil {
			t.Errorf("something was written back: %d, %v", n, err)
		}
	})
}

// TestEOFThatIsOwedIsForwarded: Drain has read it, with lines that nobody has
// asked for before it.
func TestEOFThatIsOwedIsForwarded(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		p.a.stream.Reader()
		p.a.peer.Send(t, []byte("unasked\n"))
		p.a.peer.CloseWrite()
		for range 3 {
			p.a.stream.Drain()
		}
		must(t, p.a.stream.PipeTo(p.b.stream))
		verify(t, p.a.loop)
		wantBytes(t, p.b.receiveEOF(), []byte("unasked\n"))
		p.a.stream.CloseWrite()
		p.a.pollUntil(func() bool { return p.a.closed > 0 })
		p.a.wantCalls("close")
	})
}

func TestForwardingAllocatesNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 100} }
	onProxies(t, config, func(t *testing.T, p proxy) {
		p.connect(t)
		message := make([]byte, 200) // beyond HighWater: pauses, and goes on
		buf := make([]byte, 200)
		n := testing.AllocsPerRun(1000, func() {
			p.a.peer.Send(t, message)
			p.a.poll()
			p.b.peer.Receive(t, buf)
		})
		if n != 0 {
			t.Errorf("%v allocations per message", n)
		}
	})
}
