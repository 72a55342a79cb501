package reactor_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// short is a timeout that tests wait for; nothing depends on how long it takes.
const short = 5 * time.Millisecond

// timeoutsOf has a link record its timeouts.
func timeoutsOf(got *[]reactor.Timeout) func(*link) reactor.StreamConfig {
	return func(*link) reactor.StreamConfig {
		*got = nil
		return reactor.StreamConfig{HighWater: 1 << 30, OnTimeout: func(which reactor.Timeout) { *got = append(*got, which) }}
	}
}

// setters are the timeouts, each with what makes it run.
func setters() []setter {
	return []setter{
		{reactor.IdleTimeout, (*reactor.Stream).SetIdleTimeout, func(*link) {}},
		{reactor.ReadTimeout, (*reactor.Stream).SetReadTimeout, func(*link) {}},
		{reactor.WriteTimeout, (*reactor.Stream).SetWriteTimeout, func(l *link) { l.fill(1000) }},
	}
}

type setter struct {
	which reactor.Timeout
	set   func(*reactor.Stream, time.Duration)
	run   func(l *link)
}

func TestTimeoutsPassAgainAndAgainAndNeverEarly(t *testing.T) {
	for _, c := range setters() {
		t.Run(c.which.String(), func(t *testing.T) {
			var got []reactor.Timeout
			onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
				c.run(l)
				start := time.Now()
				c.set(l.stream, short)
				for i := range 3 {
					l.pollUntil(func() bool { return len(got) > i })
					if d := time.Since(start); d < time.Duration(i+1)*short {
						t.Errorf("%d timeouts in %v", i+1, d)
					}
				}
				for _, which := range got {
					if which != c.which {
						t.Errorf("got a %v", which)
					}
				}
				verify(t, l.loop)
			})
		})
	}
}

func TestTimeoutWithoutACallbackFailsTheStream(t *testing.T) {
	for _, c := range setters() {
		t.Run(c.which.String(), func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				c.run(l)
				c.set(l.stream, short)
				l.pollUntil(func() bool { return l.closed > 0 })
				wantErr(t, l.closeErr, reactor.ErrTimeout)
				wantErr(t, l.closeErr, os.ErrDeadlineExceeded)
				var op *reactor.OpError
				if !errors.As(l.closeErr, &op) || op.Op != c.which.String() || op.FD < 0 {
					t.Errorf("closed with %v", l.closeErr)
				}
			})
		})
	}
}

func TestTimeoutOfZeroIsOff(t *testing.T) {
	for _, c := range setters() {
		t.Run(c.which.String(), func(t *testing.T) {
			onLinks(t, nil, func(t *testing.T, l *link) {
				c.run(l)
				c.set(l.stream, 0)
				c.set(l.stream, short)
				c.set(l.stream, -1)
				passed := false
				l.loop.AfterFunc(2*short, func() { passed = true })
				l.pollUntil(func() bool { return passed })
				pollTimes(t, l.loop, 3)
				if l.closed > 0 {
					t.Errorf("closed with %v", l.closeErr)
				}
			})
		})
	}
}

// TestActivityMovesTheTimeoutsWithoutTouchingATimer: rearming is O(1).
func TestActivityMovesTheTimeoutsWithoutTouchingATimer(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.SetIdleTimeout(time.Hour)
		l.stream.SetReadTimeout(2 * time.Hour)
		l.stream.SetWriteTimeout(3 * time.Hour)
		before := l.stream.TimerMoves()
		for range 100 {
			l.write("x")
			l.peer.Send(t, []byte("x"))
			l.receive(1)
			must(t, l.stream.Pause())
			must(t, l.stream.Resume())
		}
		if n := l.stream.TimerMoves() - before; n != 0 {
			t.Errorf("the heap was touched %d times", n)
		}
		if n := l.loop.Stats().Timing; n != 1 {
			t.Errorf("%d timers", n)
		}
	})
}

// TestBytesThatCameInTimePreventATimeoutThoughTheLoopWasBusy: timers come before
// reading, so the timeout is due before the bytes are seen.
func TestBytesThatCameInTimePreventATimeoutThoughTheLoopWasBusy(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.stream.SetIdleTimeout(short)
		l.stream.SetReadTimeout(short)
		l.peer.Send(t, []byte("x"))
		busyUntil(time.Now().Add(2 * short))
		l.poll()
		if len(got) > 0 || !l.saw("data") {
			t.Errorf("timeouts %v, callbacks %v", got, l.calls)
		}
	})
}

// TestTimeoutsAreMovedByWhatTheyCount lets an hour pass in two parts, which are
// more than the timeout only if nothing has moved it in between.
func TestTimeoutsAreMovedByWhatTheyCount(t *testing.T) {
	read := func(l *link) {
		before := len(l.data)
		l.peer.Send(l.t, []byte("x"))
		l.pollUntil(func() bool { return len(l.data) > before })
	}
	write := func(l *link) {
		before := l.loop.Stats().BytesWritten
		l.pollUntil(func() bool {
			l.peer.Available(l.t)
			return l.loop.Stats().BytesWritten > before
		})
	}
	for _, c := range []struct {
		name  string
		set   func(*reactor.Stream, time.Duration)
		do    func(l *link)
		moved bool
	}{
		{"idle by reading", (*reactor.Stream).SetIdleTimeout, read, true},
		{"idle by writing", (*reactor.Stream).SetIdleTimeout, write, true},
		{"idle by nothing", (*reactor.Stream).SetIdleTimeout, (*link).poll, false},
		{"read by reading", (*reactor.Stream).SetReadTimeout, read, true},
		{"read by writing", (*reactor.Stream).SetReadTimeout, write, false},
		{"write by writing", (*reactor.Stream).SetWriteTimeout, write, true},
		{"write by reading", (*reactor.Stream).SetWriteTimeout, read, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []reactor.Timeout
			onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
				l.fill(300_000) // more than what the other side takes in one go
				c.set(l.stream, time.Hour)
				l.stream.Age(40 * time.Minute)
				l.poll()
				if len(got) > 0 {
					t.Fatalf("%v after 40 minutes of an hour", got)
				}
				c.do(l)
				l.stream.Age(40 * time.Minute)
				pollTimes(t, l.loop, 2)
				if moved := len(got) == 0; moved != c.moved {
					t.Errorf("moved: %v, want %v", moved, c.moved)
				}
				verify(t, l.loop)
			})
		})
	}
}

func TestReadTimeoutDoesNotCountWhilePausedAndBeginsAnewAfterwards(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.stream.SetReadTimeout(short)
		must(t, l.stream.Pause())
		waited := false
		l.loop.AfterFunc(3*short, func() { waited = true })
		l.pollUntil(func() bool { return waited })
		pollTimes(t, l.loop, 2)
		if len(got) > 0 {
			t.Fatalf("%v while paused", got)
		}
		start := time.Now()
		must(t, l.stream.Resume())
		verify(t, l.loop)
		l.pollUntil(func() bool { return len(got) > 0 })
		if d := time.Since(start); d < short {
			t.Errorf("%v after being resumed", d)
		}
	})
}

func TestReadTimeoutDoesNotCountAfterTheEOF(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		l.stream.SetReadTimeout(1)
		l.stream.SetIdleTimeout(short)
		l.pollUntil(func() bool { return len(got) > 0 })
		if got[0] != reactor.IdleTimeout {
			t.Errorf("got a %v", got[0])
		}
	})
}

func TestIdleTimeoutCountsWhilePaused(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		must(t, l.stream.Pause())
		l.stream.SetIdleTimeout(short)
		l.pollUntil(func() bool { return len(got) > 0 })
	})
}

func TestWriteTimeoutCountsOnlyWhileBytesWait(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.stream.SetWriteTimeout(short)
		l.write("x")
		l.poll()
		if n := l.loop.Stats().Timing; n != 0 {
			t.Errorf("%d timers run though nothing waits", n)
		}
		want := l.fill(1000)
		l.pollUntil(func() bool { return len(got) > 0 })
		l.receive(len(want) + 1)
		l.pollUntil(func() bool { return l.stream.Buffered() == 0 })
		got = nil
		waited := false
		l.loop.AfterFunc(3*short, func() { waited = true })
		l.pollUntil(func() bool { return waited })
		pollTimes(t, l.loop, 2)
		if len(got) > 0 {
			t.Errorf("%v though nothing waits", got)
		}
	})
}

// TestWriteTimeoutSetWhileBytesWait is the order in which the state is made after
// the fact.
func TestWriteTimeoutSetWhileBytesWait(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.fill(1000)
		l.stream.SetWriteTimeout(short)
		l.pollUntil(func() bool { return len(got) > 0 })
	})
}

func TestTimeoutsDoNotKeepRun(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Pause())
		l.stream.SetIdleTimeout(time.Hour)
		l.stream.SetReadTimeout(time.Hour)
		run(t, l.loop)
	})
}

func TestClosedStreamHasNoTimeouts(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.SetIdleTimeout(short)
		l.stream.Close()
		l.stream.SetReadTimeout(short)
		if n := l.loop.Stats().Timing; n != 0 {
			t.Errorf("%d timers are left", n)
		}
		l.poll()
		l.wantCalls("close")
	})
}

// TestTimeoutAndDataOfOneIterationThatClosesTheStream: the timeout is owed when
// OnData closes it.
func TestTimeoutAndDataOfOneIterationThatClosesTheStream(t *testing.T) {
	config := func(l *link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) { l.stream.Close() },
			OnTimeout: func(reactor.Timeout) { l.t.Error("a timeout after Close") }}
	}
	onLinks(t, config, func(t *testing.T, l *link) {
		l.stream.SetIdleTimeout(1)
		l.peer.Send(t, []byte("x"))
		l.pollUntil(func() bool { return l.closed > 0 })
		l.wantCalls("data close")
	})
}

func TestTimeoutsAllocateNothingInSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	l.stream.SetIdleTimeout(time.Hour)
	l.stream.SetReadTimeout(time.Hour)
	l.stream.SetWriteTimeout(time.Hour)
	var buf [1]byte
	n := testing.AllocsPerRun(1000, func() {
		l.write("x")
		l.poll()
		l.peer.Receive(t, buf[:])
		l.stream.SetIdleTimeout(time.Hour)
	})
	if n > 1 { // l.write makes the bytes of a string
		t.Errorf("%v allocations per message", n)
	}
}
