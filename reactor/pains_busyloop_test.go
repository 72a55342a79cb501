package reactor_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// A loop that has nothing to do must sleep, whatever the kernel would say about
// descriptors that nobody asks about at the moment.

// mustSleep runs the loop for a while in which nothing happens, and fails unless
// it blocked all the time: a loop that spins makes hundreds of iterations in a
// millisecond. A signal may end a wait early, hence more than one is allowed.
func mustSleep(t testing.TB, loop *reactor.Loop) {
	t.Helper()
	before := loop.Stats()
	loop.AfterFunc(30*time.Millisecond, loop.Stop)
	run(t, loop)
	now := loop.Stats()
	if n := now.Iterations - before.Iterations; n > 10 {
		t.Errorf("%d iterations while nothing happened, %d events, %d stale", n, now.Events-before.Events, now.Stale-before.Stale)
	}
}

// TestPausedStreamWhosePeerDiesDoesNotSpin: EPOLLHUP is reported for an empty
// interest, too.
func TestPausedStreamWhosePeerDiesDoesNotSpin(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Pause())
		l.peer.Send(t, []byte("last words"))
		l.peer.Close()
		mustSleep(t, l.loop)
		if len(l.data) > 0 || l.saw("eof") {
			t.Errorf("a paused stream has read %q, the calls were %q", l.data, l.calls)
		}
		must(t, l.stream.Resume())
		l.pollUntil(func() bool { return l.closed > 0 })
		if string(l.data) != "last words" || l.closeErr != nil {
			t.Errorf("after Resume it read %q and ended with %v", l.data, l.closeErr)
		}
	})
}

func TestHangUpThatNobodyWatchesDoesNotSpin(t *testing.T) {
	for _, transport := range fdtest.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := transport.Open(t)
			defer ours.Close()
			calls := 0
			w := watch(t, loop, ours.Read, reactor.Read, func(reactor.Ready) { calls++ })
			theirs.Close()
			pollTimes(t, loop, 1)
			if calls != 1 {
				t.Errorf("the hang-up was reported %d times", calls)
			}
			must(t, w.Stop())
			mustSleep(t, loop)
			if calls != 1 {
				t.Errorf("it was reported %d times after Stop", calls-1)
			}
		})
	}
}

// TestHalfClosedStreamDoesNotSpin: at the EOF a descriptor stays readable.
func TestHalfClosedStreamDoesNotSpin(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("eof") })
		mustSleep(t, l.loop)
		l.wantCalls("eof")
	})
}

// TestOurHalfCloseDoesNotSpin: the other way round, the peer keeps quiet.
func TestOurHalfCloseDoesNotSpin(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.stream.CloseWrite()
		pollTimes(t, l.loop, 1)
		if _, eof := l.peer.Available(t); !eof {
			t.Error("the peer has not read EOF")
		}
		mustSleep(t, l.loop)
		l.wantCalls("")
	})
}

// TestWriteInterestEndsWithWhatWasQueued: a descriptor that may be written to is
// ready all the time.
func TestWriteInterestEndsWithWhatWasQueued(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Shrink(t, w)
		message := bytes.Repeat([]byte("x"), 100_000)
		must(t, l.stream.Write(message))
		pollTimes(t, l.loop, 1)
		if l.stream.Buffered() == 0 {
			t.Fatal("the kernel took everything: nothing to wait for")
		}
		mustSleep(t, l.loop) // full, and nobody reads
		got := 0
		l.pollUntil(func() bool {
			data, _ := l.peer.Available(t)
			got += len(data)
			return got == len(message)
		})
		pollTimes(t, l.loop, 1)
		mustSleep(t, l.loop) // empty, and nothing to write
	})
}

// TestSubMillisecondTimersDoNotSpin: a timeout that is rounded down to
// milliseconds is none.
func TestSubMillisecondTimersDoNotSpin(t *testing.T) {
	loop := newLoop(t)
	const fires = 200
	fired := 0
	timer := loop.Every(100*time.Microsecond, 100*time.Microsecond, func() {
		if fired++; fired == fires {
			loop.Stop()
		}
	})
	run(t, loop)
	timer.Stop()
	if n := loop.Stats().Iterations; n > 2*fires {
		t.Errorf("%d iterations for %d timers", n, fires)
	}
}

// TestDescriptorsThatOthersHoldDoNotWake: a process that was started inherited
// the description of what is watched. Closing it here must end the kernel's
// reports although the description lives on, and becomes ready.
func TestDescriptorsThatOthersHoldDoNotWake(t *testing.T) {
	for _, kind := range []string{"stream", "watcher"} {
		t.Run(kind, func(t *testing.T) {
			loop := newLoop(t)
			p := pipe(t)
			cat := holdInChild(t, p)
			defer cat.end()
			switch kind {
			case "stream":
				s, err := loop.NewStream(p.Read, -1, reactor.StreamConfig{
					OnData: func(data []byte) { t.Errorf("got %q", data) },
				})
				must(t, err)
				pollTimes(t, loop, 1)
				s.Close()
				p.Read = -1
			case "watcher":
				w, err := loop.WatchFD(p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
				must(t, err)
				pollTimes(t, loop, 1)
				must(t, w.Stop())
				p.CloseRead()
			}
			pollTimes(t, loop, 1)
			before := loop.Stats()
			cat.writes(t)
			mustSleep(t, loop)
			if now := loop.Stats(); now.Stale != 0 || now.Events != before.Events {
				t.Errorf("%d stale events, %d others", now.Stale, now.Events-before.Events)
			}
		})
	}
}
