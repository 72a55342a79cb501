package reactor_test

import (
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestCloseAfterFlushDeliversEverythingToASlowReader(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Shrink(t, w)
		want := pattern(0, 2<<20)
		must(t, l.stream.Write(want))
		l.stream.CloseAfterFlush(0)
		wantErr(t, l.stream.Write([]byte("x")), reactor.ErrClosed)
		wantBytes(t, l.receiveEOF(), want)
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("close")
		if l.closeErr != nil {
			t.Errorf("closed with %v", l.closeErr)
		}
	})
}

func TestCloseAfterFlushDropsWhatIsReadAndCallsOnlyOnClose(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := l.fill(100_000)
		l.calls = nil
		must(t, l.stream.Pause()) // or the other side could not go on
		l.stream.CloseAfterFlush(0)
		l.peer.Offer(t, pattern(0, 50_000))
		wantBytes(t, l.receiveEOF(), want)
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("close")
		if len(l.data) != 0 {
			t.Errorf("%d bytes were delivered", len(l.data))
		}
	})
}

// TestClosedPipesAreNotWaitedFor: nothing can be reset, so they close at once.
func TestClosedPipesAreNotWaitedFor(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	l.write("x")
	l.stream.CloseAfterFlush(-1)
	l.pollUntil(func() bool { return l.closed > 0 })
	got, eof := l.peer.Available(t)
	wantBytes(t, got, []byte("x"))
	if !eof {
		t.Error("no EOF")
	}
}

// TestLingeringSocketIsNotResetByInputThatStillComes: an answer is sent before
// all of the question has come, as servers do that refuse it. Closing at once
// resets the connection and destroys the answer.
func TestLingeringSocketIsNotResetByInputThatStillComes(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.TCP(t)
	defer theirs.Close()
	answer := pattern(0, 1<<20)
	closed := false
	var s *reactor.Stream
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		OnData: func([]byte) {
			must(t, s.Write(answer))
			s.CloseAfterFlush(0)
		},
		OnClose: func(err error) {
			must(t, err)
			closed = true
		},
	})
	must(t, err)
	question := pattern(0, 4<<20)
	sent := 0
	pollUntil(t, loop, func() bool {
		sent += theirs.Offer(t, question[sent:])
		return sent == len(question)
	})
	var got []byte
	eof := false
	buf := make([]byte, 64<<10)
	pollUntil(t, loop, func() bool {
		n, err := unix.Read(theirs.Read, buf)
		if err != nil && err != unix.EAGAIN {
			t.Fatalf("after %d of %d bytes: %v", len(got), len(answer), err) // ECONNRESET, say
		}
		got = append(got, buf[:max(n, 0)]...)
		eof = eof || n == 0 && err == nil
		return eof
	})
	wantBytes(t, got, answer)
	theirs.CloseWrite()
	pollUntil(t, loop, func() bool { return closed })
}

func TestLingerEndsInAnErrorWhenBytesAreLeft(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(10_000)
		start := time.Now()
		l.stream.CloseAfterFlush(10 * time.Millisecond)
		l.pollUntil(func() bool { return l.closed > 0 })
		wantErr(t, l.closeErr, reactor.ErrTimeout)
		wantErr(t, l.closeErr, os.ErrDeadlineExceeded)
		if d := time.Since(start); d < 10*time.Millisecond {
			t.Errorf("after %v already", d)
		}
	})
}

func TestLingeringSocketWhoseOtherSideStaysIsClosedInTheEnd(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[1], nil)
	l.write("x")
	l.stream.CloseAfterFlush(10 * time.Millisecond)
	l.pollUntil(func() bool { return l.closed > 0 })
	if l.closeErr != nil { // everything was written
		t.Errorf("closed with %v", l.closeErr)
	}
	wantBytes(t, l.receiveEOF(), []byte("x"))
}

func TestLaterCloseAfterFlushSetsLingerAnew(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(10_000)
		l.stream.CloseAfterFlush(-1)
		l.poll()
		l.stream.CloseAfterFlush(time.Hour)
		l.poll()
		verify(t, l.loop)
		l.stream.CloseAfterFlush(time.Millisecond)
		l.pollUntil(func() bool { return l.closed > 0 })
		wantErr(t, l.closeErr, reactor.ErrTimeout)
	})
}

func TestLingeringStreamKeepsRunAndShutdownFromReturning(t *testing.T) {
	for _, end := range []func(*reactor.Loop) error{
		func(l *reactor.Loop) error { return l.Run(context.Background()) },
		func(l *reactor.Loop) error { return l.Shutdown(context.Background()) },
	} {
		l := newLink(t, newLoop(t), fdtest.Transports()[1], nil)
		l.write("x")
		l.stream.CloseAfterFlush(0)
		timer := l.loop.AfterFunc(20*time.Millisecond, l.peer.Close)
		timer.Unref()
		must(t, end(l.loop))
		if l.closed != 1 || l.closeErr != nil {
			t.Errorf("closed %d times, with %v", l.closed, l.closeErr)
		}
	}
}

func TestCloseEndsLingering(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(10_000)
		l.stream.CloseAfterFlush(-1)
		l.stream.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		if l.closeErr != nil {
			t.Errorf("closed with %v", l.closeErr)
		}
	})
}

func TestCloseAfterFlushOfAHalfThatHasEnded(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.CloseWrite()
		l.poll()
		l.stream.CloseAfterFlush(0)
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("close")
	})
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		l.write("x")
		l.stream.CloseAfterFlush(0)
		wantBytes(t, l.receiveEOF(), []byte("x"))
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("eof close")
	})
}

func TestCloseAfterFlushToAReaderThatIsGoneReportsIt(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(10_000)
		l.calls = nil
		l.stream.CloseAfterFlush(-1)
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("close")
		wantErr(t, l.closeErr, unix.EPIPE)
	})
}

func TestCloseReadEndsReadingOnly(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.Send(t, []byte("not read"))
		l.stream.CloseRead()
		l.stream.CloseRead()
		verify(t, l.loop)
		pollTimes(t, l.loop, 3)
		l.wantCalls("")
		if n := l.peer.Offer(t, []byte("x")); n != 0 {
			t.Errorf("the other side could write %d bytes", n)
		}
		l.write("still written")
		wantBytes(t, l.receive(13), []byte("still written"))
		l.stream.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("close")
	})
}

func TestCloseReadAfterCloseWriteClosesTheStream(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.CloseWrite()
		l.poll()
		l.stream.CloseRead()
		l.wantCalls("")
		l.poll()
		l.wantCalls("close")
	})
}

func TestStreamWithoutReadSideDoesNotSpinWhenTheOtherSideGoes(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.CloseRead()
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		before := l.loop.Stats().Events
		pollTimes(t, l.loop, 10)
		if n := l.loop.Stats().Events - before; n != 0 {
			t.Errorf("%d events", n)
		}
		l.wantCalls("write error close")
	})
}
