package reactor_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// endings are all the ways in which a stream ends. Each is armed by a config
// and set off by its do.
func endings() []ending {
	closeIt := func(l *link) { l.stream.Close() }
	nothing := func(*link) {}
	return []ending{
		{name: "Close outside an iteration", do: closeIt},
		{name: "Close twice", do: func(l *link) { l.stream.Close(); l.stream.Close() }},
		{name: "Close in a post", do: func(l *link) { l.loop.Post(l.stream.Close) }},
		{name: "Close in OnData", config: reactor.StreamConfig{OnData: func([]byte) {}}, inData: closeIt,
			do: func(l *link) { l.peer.Send(l.t, []byte("x")) }},
		{name: "Close in OnEOF", inEOF: closeIt, do: func(l *link) { l.peer.CloseWrite() }},
		{name: "CloseWrite in OnEOF", inEOF: func(l *link) { l.stream.CloseWrite() },
			do: func(l *link) { l.peer.CloseWrite() }},
		{name: "Close in OnWriteError", inWriteError: closeIt,
			do: func(l *link) { l.peer.CloseRead(); l.write("x") }},
		{name: "Close in OnDrain", config: reactor.StreamConfig{HighWater: 1}, inDrain: closeIt,
			do: func(l *link) { l.write("x") }},
		{name: "Close in OnClose", inClose: closeIt, do: closeIt},
		{name: "the peer closes", inEOF: func(l *link) { l.stream.CloseWrite() }, do: func(l *link) { l.peer.Close() }},
		{name: "we close writing, then the peer", do: func(l *link) {
			l.stream.CloseWrite()
			l.poll()
			l.peer.CloseWrite()
		}},
		{name: "write error, then EOF", do: func(l *link) {
			l.write("x")
			l.peer.CloseRead()
			l.poll()
			l.peer.CloseWrite()
			if !l.saw("write error") {
				l.stream.CloseWrite() // a socket took the byte
			}
		}},
		{name: "Close with bytes queued", do: func(l *link) { l.fill(10_000); l.stream.Close() }},
		{name: "Close after CloseWrite", do: func(l *link) { l.stream.CloseWrite(); l.stream.Close() }},
		{name: "Close of a paused stream", do: func(l *link) { l.stream.Pause(); l.stream.Close() }},
		{name: "CloseAfterFlush", do: func(l *link) {
			l.write("x")
			l.stream.CloseAfterFlush(0)
			l.poll()
			l.peer.Close()
		}},
		{name: "CloseAfterFlush in OnData, which takes too long", inData: func(l *link) {
			l.fillNow(100_000)
			l.stream.CloseAfterFlush(1)
		}, do: func(l *link) { l.peer.Send(l.t, []byte("x")) }},
		{name: "CloseAfterFlush twice, then Close", do: func(l *link) {
			l.stream.CloseAfterFlush(0)
			l.stream.CloseAfterFlush(-1)
			l.stream.Close()
		}},
		{name: "CloseRead and CloseWrite", do: func(l *link) { l.stream.CloseRead(); l.stream.CloseWrite() }},
		{name: "CloseRead in OnData after CloseWrite", inData: func(l *link) { l.stream.CloseRead() },
			do: func(l *link) { l.stream.CloseWrite(); l.poll(); l.peer.Send(l.t, []byte("x")) }},
		{name: "Close in OnTimeout", inTimeout: closeIt, do: func(l *link) { l.stream.SetIdleTimeout(1) }},
		{name: "an echo ends", do: func(l *link) {
			must(l.t, l.stream.PipeTo(l.stream))
			l.peer.Send(l.t, []byte("x"))
			l.peer.CloseWrite()
		}},
		{name: "an echo whose reader goes", do: func(l *link) {
			must(l.t, l.stream.PipeTo(l.stream))
			l.peer.Close()
		}},
		{name: "a unit is too long", do: func(l *link) {
			must(l.t, l.stream.Reader().Push(reactor.Line(1), nil))
			l.peer.Send(l.t, []byte("xxx"))
		}},
		{name: "EOF in the middle of a unit", do: func(l *link) {
			must(l.t, l.stream.Reader().Push(reactor.Fixed(2), nil))
			l.peer.Send(l.t, []byte("x"))
			l.peer.CloseWrite()
		}},
		{name: "the loop closes", inEOF: nothing, do: func(l *link) { must(l.t, l.loop.Close()) }},
	}
}

type ending struct {
	name                                          string
	config                                        reactor.StreamConfig
	inData, inEOF, inDrain, inWriteError, inClose func(l *link)
	inTimeout                                     func(l *link)
	do                                            func(l *link)
}

// configure makes the callbacks call what the ending does in them.
func (e *ending) configure(l *link) reactor.StreamConfig {
	call := func(fn func(*link)) {
		if fn != nil {
			fn(l)
		}
	}
	c := e.config
	c.OnData = func([]byte) { call(e.inData) }
	c.OnEOF = func() { call(e.inEOF) }
	c.OnDrain = func() { call(e.inDrain) }
	c.OnWriteError = func(error) { call(e.inWriteError) }
	c.OnTimeout = func(reactor.Timeout) { call(e.inTimeout) }
	c.OnClose = func(error) { call(e.inClose) }
	return c
}

// TestOnCloseIsCalledOnceAndLast: link.note fails the test for whatever follows it.
func TestOnCloseIsCalledOnceAndLast(t *testing.T) {
	for _, e := range endings() {
		t.Run(e.name, func(t *testing.T) {
			onLinks(t, e.configure, func(t *testing.T, l *link) {
				r, w := l.stream.FDs()
				e.do(l)
				if l.loop.Poll(0) == nil {
					l.pollUntil(func() bool { return l.closed > 0 })
					pollTimes(t, l.loop, 3)
				}
				if l.closed != 1 {
					t.Errorf("OnClose was called %d times", l.closed)
				}
				if !l.stream.Closed() || fdtest.Open(r) || fdtest.Open(w) {
					t.Errorf("closed %v, fd %d open %v, fd %d open %v", l.stream.Closed(), r, fdtest.Open(r), w, fdtest.Open(w))
				}
				if r, w := l.stream.FDs(); r != -1 || w != -1 {
					t.Errorf("it still names fds %d and %d", r, w)
				}
				if l.stream.Write([]byte("x")) == nil {
					t.Error("it takes a write")
				}
			})
		})
	}
}

func TestOnCloseIsNotCalledInsideClose(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.Close()
		l.wantCalls("")
		l.poll()
		l.wantCalls("close")
	})
}

func TestCloseDropsWhatIsQueued(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("dropped")
		l.stream.Close()
		if l.stream.Buffered() != 0 || l.stream.Chunks() != 0 {
			t.Errorf("%d bytes in %d buffers", l.stream.Buffered(), l.stream.Chunks())
		}
		if got := l.receiveEOF(); len(got) != 0 {
			t.Errorf("the peer got %q", got)
		}
		if l.closeErr != nil {
			t.Errorf("closed with %v", l.closeErr)
		}
	})
}

func TestCloseWriteFlushesToASlowReader(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := pattern(0, 8<<20)
		must(t, l.stream.Write(want))
		l.stream.CloseWrite()
		rnd := rand.New(rand.NewPCG(1, 2))
		var got []byte
		buf := make([]byte, 64<<10)
		for eof := false; !eof; {
			l.poll()
			n, err := unix.Read(l.peer.Read, buf[:1+rnd.IntN(len(buf))])
			eof = n == 0 && err == nil
			got = append(got, buf[:max(n, 0)]...)
		}
		wantBytes(t, got, want)
		l.wantCalls("drain") // 8 MB are beyond HighWater
	})
}

func TestHalfCloseBothWays(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("question")
		l.stream.CloseWrite()
		wantBytes(t, l.receiveEOF(), []byte("question"))
		l.peer.Send(t, []byte("answer"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		wantBytes(t, l.data, []byte("answer"))
		l.wantCalls("data eof close")
		if l.closeErr != nil {
			t.Errorf("closed with %v", l.closeErr)
		}
	})
}

func TestCloseWriteKeepsRunUntilEverythingIsWritten(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	fdtest.Shrink(t, p.Write)
	s, err := loop.NewStream(-1, fdtest.Dup(t, p.Write), reactor.StreamConfig{})
	must(t, err)
	p.CloseWrite()
	want := pattern(0, 100_000)
	must(t, s.Write(want))
	s.CloseWrite()
	var got []byte
	reader := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {
		data, _ := p.Available(t)
		got = append(got, data...)
	})
	reader.Unref()
	run(t, loop)
	data, eof := p.Available(t)
	wantBytes(t, append(got, data...), want)
	if !eof || !s.Closed() {
		t.Errorf("eof %v, closed %v", eof, s.Closed())
	}
}

func TestReadOnlyStreamEndsWithItsEOF(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var calls []string
	s, err := loop.NewStream(fdtest.Dup(t, p.Read), -1, reactor.StreamConfig{
		OnData:  func([]byte) { calls = append(calls, "data") },
		OnEOF:   func() { calls = append(calls, "eof") },
		OnClose: func(error) { calls = append(calls, "close") },
	})
	must(t, err)
	wantErr(t, s.Write([]byte("x")), reactor.ErrClosed)
	p.CloseWrite()
	run(t, loop)
	if len(calls) != 3 || calls[2] != "close" {
		t.Errorf("the callbacks were %v", calls)
	}
}

func TestRefusedDescriptorsStayTheCallers(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	gone := fdtest.Dup(t, p.Read)
	unix.Close(gone)
	config := reactor.StreamConfig{OnClose: func(error) { t.Error("OnClose was called") }}
	for _, c := range []struct {
		name        string
		read, write int
		want        error
	}{
		{"none", -1, -1, reactor.ErrInvalid},
		{"closed for reading", gone, p.Write, unix.EBADF},
		{"closed for writing", p.Read, gone, unix.EBADF},
	} {
		s, err := loop.NewStream(c.read, c.write, config)
		wantErr(t, err, c.want)
		if s != nil {
			t.Errorf("%s: a stream was returned, too", c.name)
		}
		verify(t, loop)
	}
	run(t, loop)
	if !fdtest.Open(p.Read) || !fdtest.Open(p.Write) {
		t.Error("they were closed")
	}
}

// TestStreamClosesWhatAnotherProcessSharesWithoutSpinning: a child holds
// duplicates of everything its parent has open at the time of the fork.
func TestStreamClosesWhatAnotherProcessSharesWithoutSpinning(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		r, w := l.stream.FDs()
		for _, fd := range []int{fdtest.Dup(t, r), fdtest.Dup(t, w)} {
			defer unix.Close(fd)
		}
		l.peer.Send(t, []byte("never read"))
		l.stream.Close()
		pollTimes(t, l.loop, 20)
		if s := l.loop.Stats(); s.Stale != 0 || s.Events != 0 {
			t.Errorf("%d stale events, %d others", s.Stale, s.Events)
		}
	})
}

// What OnClose is given of a write error that has lost bytes: it, however the stream is closed then, except by the end of the loop.
func TestWriteErrorThatLostBytesIsWhatOnCloseIsGiven(t *testing.T) {
	for name, c := range map[string]struct {
		lose  bool
		close func(*link)
		want  error
	}{
		"Close":                         {true, func(l *link) { l.stream.Close() }, unix.EPIPE},
		"Close, and nothing lost":       {false, func(l *link) { l.stream.Close() }, nil},
		"CloseRead":                     {true, func(l *link) { l.stream.CloseRead() }, unix.EPIPE},
		"CloseAfterFlush":               {true, func(l *link) { l.stream.CloseAfterFlush(0) }, unix.EPIPE},
		"end of the loop":               {true, func(l *link) { must(l.t, l.loop.Close()) }, reactor.ErrClosed},
		"end of the loop, nothing lost": {false, func(l *link) { must(l.t, l.loop.Close()) }, reactor.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
			if c.lose {
				l.fill(1000)
			}
			l.peer.CloseRead()
			l.pollUntil(func() bool { return l.saw("write error") })
			if c.close(l); l.closed == 0 {
				l.pollUntil(func() bool { return l.closed > 0 })
			}
			if !errors.Is(l.closeErr, c.want) {
				t.Errorf("closed with %v", l.closeErr)
			}
		})
	}
}
