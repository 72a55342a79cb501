package reactor_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestEverythingQueuedInOneIterationLeavesInOneWrite(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		var want []byte
		l.loop.AfterFunc(0, func() {
			for i := range 50 {
				piece := pattern(i*64, 64)
				want = append(want, piece...)
				must(t, l.stream.Write(piece))
			}
			l.loop.Post(func() {
				want = append(want, "posted"...)
				l.write("posted")
			})
		})
		before := l.loop.Stats().Writes
		l.pollUntil(func() bool { return len(want) > 0 })
		if n := l.loop.Stats().Writes - before; n != 1 {
			t.Errorf("%d writes", n)
		}
		got, _ := l.peer.Available(t)
		wantBytes(t, got, want)
	})
}

func TestWriteOutsideAnIterationLeavesBeforeTheWait(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("x")
		if got, _ := l.peer.Available(t); len(got) != 0 {
			t.Errorf("%q was written by Write itself", got)
		}
		l.poll()
		got, _ := l.peer.Available(t)
		wantBytes(t, got, []byte("x"))
	})
}

func TestWriteCopiesItsArgument(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		p := []byte("before")
		must(t, l.stream.Write(p))
		copy(p, "after!")
		wantBytes(t, l.receive(len(p)), []byte("before"))
	})
}

func TestEmptyWriteWritesNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("")
		l.poll()
		if s := l.loop.Stats(); s.Writes != 0 || l.stream.Chunks() != 0 {
			t.Errorf("%d writes, %d buffers held", s.Writes, l.stream.Chunks())
		}
		l.write("x")
		wantBytes(t, l.receive(1), []byte("x"))
	})
}

func TestPartialWritesAreContinued(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Shrink(t, w)
		want := pattern(0, 1<<20)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 100_000)
			must(t, l.stream.Write(rest[:n]))
			rest = rest[n:]
		}
		wantBytes(t, l.receive(len(want)), want)
		l.poll()
		if n := l.stream.Buffered(); n != 0 {
			t.Errorf("%d bytes are queued", n)
		}
	})
}

// TestLargeBatchBeginsToLeaveAtOnce: the other side works on the beginning while
// the rest is made.
func TestLargeBatchBeginsToLeaveAtOnce(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := pattern(0, 40_000)
		var early []byte
		l.loop.Post(func() {
			for i := 0; i < len(want); i += 100 {
				must(t, l.stream.Write(want[i:i+100]))
			}
			early, _ = l.peer.Available(t)
		})
		l.poll()
		late, _ := l.peer.Available(t)
		if len(early) == 0 {
			t.Error("nothing left before the end of the iteration")
		}
		wantBytes(t, append(early, late...), want)
	})
}

func TestFlushWritesNow(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("now")
		l.stream.Flush()
		got, _ := l.peer.Available(t)
		wantBytes(t, got, []byte("now"))
		l.write("later")
		wantBytes(t, l.receive(5), []byte("later"))
	})
}

func TestWriteFromOnData(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func(data []byte) { must(l.t, l.stream.Write(data)) }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.peer.Send(t, []byte("echo"))
		l.poll()
		got, _ := l.peer.Available(t) // within the same iteration
		wantBytes(t, got, []byte("echo"))
	})
}

func TestWriteFromOnDrain(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{
			HighWater: 4,
			OnDrain:   func() { must(l.t, l.stream.Write([]byte("e"))) },
		}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.write("high")
		wantBytes(t, l.receive(5), []byte("highe"))
		l.wantCalls("drain")
	})
}

func TestWriteFromOnCloseIsRefused(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnClose: func(error) { wantErr(l.t, l.stream.Write([]byte("x")), reactor.ErrClosed) }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.stream.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
	})
}

func TestWriteAfterCloseWriteIsRefused(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("x")
		l.stream.CloseWrite()
		wantErr(t, l.stream.Write([]byte("y")), reactor.ErrClosed)
		wantErr(t, l.stream.Commit(append(l.stream.AppendBuffer(), 'y')), reactor.ErrClosed)
		wantBytes(t, l.receiveEOF(), []byte("x"))
	})
}

func TestCongestionBeginsAtHighWaterAndEndsAtLowWater(t *testing.T) {
	const high, low = 50_000, 10_000
	atDrain := -1
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{HighWater: high, LowWater: low, OnDrain: func() { atDrain = l.stream.Buffered() }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		want := l.fill(high - 10_000)
		must(t, l.stream.Write(pattern(len(want), high-1-l.stream.Buffered())))
		if l.stream.Congested() {
			t.Errorf("congested with %d bytes queued", l.stream.Buffered())
		}
		l.write("x")
		if !l.stream.Congested() {
			t.Errorf("not congested with %d bytes queued", l.stream.Buffered())
		}
		for l.stream.Buffered() > low {
			if l.saw("drain") || !l.stream.Congested() {
				t.Fatalf("no longer congested with %d bytes queued", l.stream.Buffered())
			}
			l.peer.Available(t)
			l.poll()
		}
		l.pollUntil(func() bool { return l.saw("drain") })
		if l.stream.Congested() || atDrain > low {
			t.Errorf("OnDrain was called with %d bytes queued, congested %v", atDrain, l.stream.Congested())
		}
		l.receive(1)
		pollTimes(t, l.loop, 3)
		l.wantCalls("drain") // once
	})
}

func TestNothingOfAWriteIsQueuedBeyondMaxBuffered(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{MaxBuffered: 10} }
	onLinks(t, config, func(t *testing.T, l *link) {
		wantErr(t, l.stream.Write(make([]byte, 11)), reactor.ErrBufferFull)
		if l.stream.Buffered() != 0 || l.stream.Chunks() != 0 || l.stream.Accepted() != 0 {
			t.Errorf("%d bytes in %d buffers queued, %d accepted", l.stream.Buffered(), l.stream.Chunks(), l.stream.Accepted())
		}
		l.write("12345")
		wantErr(t, l.stream.Commit(append(l.stream.AppendBuffer(), "678901"...)), reactor.ErrBufferFull)
		l.write("67890") // fits exactly
		wantErr(t, l.stream.Write([]byte("1")), reactor.ErrBufferFull)
		verify(t, l.loop)
		wantBytes(t, l.receive(10), []byte("1234567890"))
		l.pollUntil(func() bool { return l.saw("drain") }) // tells when to try again
		l.write("1")
		wantBytes(t, l.receive(1), []byte("1"))
	})
}

func TestLastPieceOfAStreamIsWrittenBeyondMaxBuffered(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{MaxBuffered: 10} }
	onLinks(t, config, func(t *testing.T, l *link) {
		l.write("1234567890")
		must(t, l.stream.CloseWriteAfter([]byte("the last")))
		wantErr(t, l.stream.CloseWriteAfter([]byte("another")), reactor.ErrClosed)
		verify(t, l.loop)
		wantBytes(t, l.receiveEOF(), []byte("1234567890the last"))
	})
}

func TestCloseWriteAfterNothingIsCloseWrite(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.CloseWriteAfter(nil))
		wantBytes(t, l.receiveEOF(), nil)
	})
}

func TestCommitOfWhatWasLentQueuesNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Commit(l.stream.AppendBuffer()))
		l.write("a")
		must(t, l.stream.Commit(l.stream.AppendBuffer()))
		abandoned := append(l.stream.AppendBuffer(), "abandoned"...)
		must(t, l.stream.Commit(abandoned[:len(abandoned)-len("abandoned")]))
		must(t, l.stream.Commit(append(l.stream.AppendBuffer(), 'b')))
		verify(t, l.loop)
		wantBytes(t, l.receive(2), []byte("ab"))
	})
}

func TestEPIPEEndsWritingOnly(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.CloseRead()
		l.write("lost")
		l.pollUntil(func() bool { return l.saw("write error") })
		wantErr(t, l.writeErr, unix.EPIPE)
		wantErr(t, l.stream.Write([]byte("x")), unix.EPIPE)
		l.peer.Send(t, []byte("still read"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		wantBytes(t, l.data, []byte("still read"))
		wantErr(t, l.closeErr, unix.EPIPE) // bytes were lost
		l.wantCalls("write error data eof close")
	})
}

func TestVanishedReaderIsNoticedWithoutWriting(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var writeErr, closeErr error
	closed := false
	_, err := loop.NewStream(-1, fdtest.Dup(t, p.Write), reactor.StreamConfig{
		OnWriteError: func(err error) { writeErr = err },
		OnClose:      func(err error) { closed, closeErr = true, err },
	})
	must(t, err)
	p.CloseRead()
	pollUntil(t, loop, func() bool { return closed })
	wantErr(t, writeErr, unix.EPIPE)
	if closeErr != nil {
		t.Errorf("closed with %v though nothing was lost", closeErr)
	}
}

func TestReaderThatVanishesWithBytesQueuedIsAnError(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(10_000)
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		wantErr(t, l.writeErr, unix.EPIPE)
		wantErr(t, l.closeErr, unix.EPIPE)
	})
}

func TestUnreadCountsWhatLiesInAPipe(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	l.write("1234567890")
	wantUnread(t, l, 10)
	l.poll()
	wantUnread(t, l, 10) // in the kernel now
	var buf [4]byte
	l.peer.Receive(t, buf[:])
	wantUnread(t, l, 6)
	l.write("1234")
	wantUnread(t, l, 10)
	l.poll()
	l.peer.Close()
	wantUnread(t, l, 10) // still answers
	l.pollUntil(func() bool { return l.closed > 0 })
	wantUnread(t, l, 10)
	if n := l.stream.Accepted(); n != 14 {
		t.Errorf("%d bytes accepted, want 14", n)
	}
}

// TestUnreadAfterCloseIsWhatWasDropped: what lies in the kernel may still be read.
func TestUnreadAfterCloseIsWhatWasDropped(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	l.write("123")
	l.poll()
	l.write("4567")
	l.stream.Close()
	wantUnread(t, l, 4)
}

func TestUnreadAfterCloseWriteIsNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("123")
		l.stream.CloseWrite()
		l.poll()
		wantUnread(t, l, 0)
	})
}

func wantUnread(t *testing.T, l *link, want int) {
	t.Helper()
	if got := l.stream.Unread(); got != want {
		t.Errorf("%d bytes unread, want %d", got, want)
	}
}

func TestIdleStreamHoldsNoBuffer(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := l.fill(200_000)
		if l.stream.Chunks() == 0 {
			t.Error("a stream with bytes queued holds no buffer")
		}
		wantBytes(t, l.receive(len(want)), want)
		l.poll()
		if n := l.stream.Chunks(); n != 0 {
			t.Errorf("%d buffers", n)
		}
	})
}

func TestStatsCountStreamsAndTheirBytes(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("12345")
		if s := l.loop.Stats(); s.Streams != 1 || s.Buffered != 5 {
			t.Errorf("%d streams with %d bytes queued", s.Streams, s.Buffered)
		}
		l.peer.Send(t, []byte("123"))
		l.pollUntil(func() bool { return len(l.data) == 3 })
		if s := l.loop.Stats(); s.BytesWritten != 5 || s.BytesRead != 3 || s.Buffered != 0 {
			t.Errorf("%d bytes written, %d read, %d queued", s.BytesWritten, s.BytesRead, s.Buffered)
		}
	})
}

func TestStreamsAllocateNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	onLinks(t, nil, func(t *testing.T, l *link) {
		message := bytes.Repeat([]byte("x"), 64)
		var buf [64]byte
		n := testing.AllocsPerRun(1000, func() {
			must(t, l.stream.Write(message))
			l.poll()
			l.peer.Receive(t, buf[:])
		})
		if n != 0 {
			t.Errorf("%v allocations per message", n)
		}
	})
}
