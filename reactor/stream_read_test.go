package reactor_test

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestDataIsDeliveredInOrder(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := pattern(0, 1<<20)
		var sender sync.WaitGroup
		sender.Go(func() { l.peer.Send(t, want) })
		l.pollUntil(func() bool { return len(l.data) >= len(want) })
		sender.Wait()
		wantBytes(t, l.data, want)
	})
}

func TestDataComesBeforeEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := pattern(0, 60_000)
		l.peer.Send(t, want)
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		wantBytes(t, l.data, want)
		l.wantCalls("data eof")
	})
}

func TestDataOfAPeerThatIsGoneComesBeforeEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.Send(t, []byte("last words"))
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		wantBytes(t, l.data, []byte("last words"))
		if l.closeErr != nil {
			t.Errorf("closed with %v though nothing was lost", l.closeErr)
		}
	})
}

// TestResetConnectionEndsWithEOF: a socket whose peer closes it with our bytes
// unread reads ECONNRESET where a pipe reads EOF.
func TestResetConnectionEndsWithEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("never read")
		l.poll()
		l.peer.Send(t, []byte("last words"))
		l.peer.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		wantBytes(t, l.data, []byte("last words"))
		if !l.saw("eof") || l.closeErr != nil {
			t.Errorf("closed with %v after %v", l.closeErr, l.calls)
		}
	})
}

func TestWritingGoesOnAfterEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		l.write("answer")
		l.stream.CloseWrite()
		wantBytes(t, l.receiveEOF(), []byte("answer"))
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("eof close")
	})
}

func TestPausedStreamReadsNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Pause())
		if !l.stream.Paused() {
			t.Error("not paused")
		}
		l.peer.Send(t, []byte("x"))
		l.peer.CloseWrite()
		pollTimes(t, l.loop, 3)
		l.wantCalls("")
		must(t, l.stream.Resume())
		l.pollUntil(func() bool { return l.saw("eof") })
		l.wantCalls("data eof")
	})
}

// TestPauseInsideOnDataHoldsTheRest has more ready than is read in one go.
func TestPauseInsideOnDataHoldsTheRest(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) { must(l.t, l.stream.Pause()) }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		want := pattern(0, 200_000)
		var sender sync.WaitGroup
		sender.Go(func() { l.peer.Send(t, want) })
		for len(l.data) < len(want) {
			before := len(l.data)
			l.pollUntil(func() bool { return len(l.data) > before })
			once := len(l.data)
			pollTimes(t, l.loop, 2)
			if len(l.data) != once {
				t.Fatal("read on though paused")
			}
			must(t, l.stream.Resume())
		}
		sender.Wait()
		wantBytes(t, l.data, want)
	})
}

func TestPauseAndResumeInsideOnDataChangeNothing(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) {
			must(l.t, l.stream.Pause())
			must(l.t, l.stream.Resume())
		}}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		want := pattern(0, 200_000)
		var sender sync.WaitGroup
		sender.Go(func() { l.peer.Send(t, want) })
		l.pollUntil(func() bool { return len(l.data) >= len(want) })
		sender.Wait()
		wantBytes(t, l.data, want)
	})
}

// TestDrainTakesWhatIsThereWhileSomebodyHoldsTheConnection: a grandchild with a
// duplicate keeps the EOF from coming.
func TestDrainTakesWhatIsThereWhileSomebodyHoldsTheConnection(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		held := fdtest.Dup(t, l.peer.Write)
		defer unix.Close(held)
		want := pattern(0, 60_000)
		l.peer.Send(t, want)
		l.peer.Close()
		l.stream.Drain()
		wantBytes(t, l.data, want)
		l.wantCalls("data")
		l.stream.Close()
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("data close")
	})
}

// TestDrainEndsThoughTheOtherSideNeverStopsWriting: whoever holds a pipe of an
// exited process may write to it for ever.
func TestDrainEndsThoughTheOtherSideNeverStopsWriting(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		more := make([]byte, 4*reactor.ReadBufferSize)
		return reactor.StreamConfig{OnData: func([]byte) { l.peer.Offer(l.t, more) }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		fdtest.Widen(t, l.peer.Write)
		l.peer.Offer(t, make([]byte, 4*reactor.ReadBufferSize))
		l.stream.Drain() // or never returns
		l.wantCalls("data")
	})
}

func TestDrainReadsAPausedStreamToItsEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Pause())
		l.peer.Send(t, []byte("x"))
		l.peer.CloseWrite()
		for !l.saw("eof") { // a short read ends it before the EOF is asked for
			l.stream.Drain()
		}
		l.wantCalls("data eof")
	})
}

func TestDrainInsideOnDataKeepsTheOrder(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) {
			if len(l.data) < 100_000 {
				l.stream.Drain()
			}
		}}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		want := pattern(0, 400_000)
		var sender sync.WaitGroup
		sender.Go(func() { l.peer.Send(t, want) })
		l.pollUntil(func() bool { return len(l.data) >= len(want) })
		sender.Wait()
		wantBytes(t, l.data, want)
	})
}

// TestOnDataBytesSurviveANestedDrain: they are valid until OnData returns,
// whatever is read meanwhile.
func TestOnDataBytesSurviveANestedDrain(t *testing.T) {
	nested := false
	config := func(l *link) reactor.StreamConfig {
		nested = false
		return reactor.StreamConfig{OnData: func(data []byte) {
			if nested {
				return
			}
			nested = true
			before := string(data)
			l.peer.Send(l.t, pattern(7, len(data)))
			l.stream.Drain()
			if string(data) != before {
				l.t.Error("the bytes changed")
			}
		}}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.peer.Send(t, pattern(0, 1000))
		l.pollUntil(func() bool { return len(l.data) >= 2000 })
	})
}

func TestCloseInsideOnDataEndsReading(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) { l.stream.Close() }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.peer.Send(t, pattern(0, 60_000))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.closed > 0 })
		pollTimes(t, l.loop, 3)
		l.wantCalls("data close")
	})
}

func TestBusyStreamDoesNotStarveAnother(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		busy := newLink(t, l.loop, fdtest.Transports()[0], nil)
		flood := pattern(0, 4<<20)
		var sender sync.WaitGroup
		sender.Go(func() { busy.peer.Send(t, flood) })
		for range 20 {
			before := len(l.data)
			l.peer.Send(t, []byte("x"))
			l.poll()
			if len(l.data) != before+1 {
				t.Error("a byte that was ready did not come in the next iteration")
			}
		}
		l.pollUntil(func() bool { return len(busy.data) == len(flood) })
		sender.Wait()
	})
}

func TestStreamKeepsRunUntilItIsPausedOrEnds(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		if l.loop.Stats().Refs == 0 {
			t.Error("an open stream is no reason for Run to stay")
		}
		must(t, l.stream.Pause())
		run(t, l.loop)
		must(t, l.stream.Resume())
		l.peer.CloseWrite()
		run(t, l.loop) // until the EOF
		l.wantCalls("eof")
	})
}
