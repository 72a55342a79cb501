package reactor_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// Nothing that happens all the time allocates: one test for each such thing. A
// batch makes an operation count, since AllocsPerRun rounds down.

// needFreeWakes skips a test in which the loop is woken where that allocates: under
// the race detector, with pollers that are woken through a pipe.
func needFreeWakes(t *testing.T, loop *reactor.Loop) {
	t.Helper()
	if raceEnabled && loop.Backend() != "epoll" {
		t.Skip("under -race waking it allocates: nothing to count")
	}
}

// mustNotAllocate makes batches of an operation after one that warms up.
func mustNotAllocate(t *testing.T, batch func()) {
	t.Helper()
	batch()
	if n := testing.AllocsPerRun(100, batch); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDispatchOfManyDescriptorsAllocatesNothing(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	for range 64 { // more than the array of events begins with
		watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { calls++ })
	}
	pollTimes(t, loop, 3)
	mustNotAllocate(t, func() { pollTimes(t, loop, 1) })
	if calls < 64*100 {
		t.Errorf("%d calls: nothing was tested", calls)
	}
}

func TestWatchFDStartAndStopAllocateNothing(t *testing.T) {
	loop := newLoop(t)
	w := watch(t, loop, pipe(t).Read, reactor.Read, func(reactor.Ready) {})
	mustNotAllocate(t, func() {
		must(t, w.Stop())
		must(t, w.Start())
	})
}

func TestSetInterestAllocatesNothing(t *testing.T) {
	loop := newLoop(t)
	w := watch(t, loop, pipe(t).Write, reactor.Write, func(reactor.Ready) {})
	mustNotAllocate(t, func() {
		must(t, w.SetInterest(reactor.HangUp))
		must(t, w.SetInterest(reactor.Write))
	})
}

// manyTimers are as many timers as make a heap of some depth.
func manyTimers(t *testing.T, loop *reactor.Loop, first, period time.Duration, fn func()) []*reactor.Timer {
	timers := make([]*reactor.Timer, 200)
	for i := range timers {
		timers[i] = loop.Every(first+time.Duration(i), period, fn)
	}
	t.Cleanup(func() {
		for _, timer := range timers {
			timer.Stop()
		}
	})
	return timers
}

func onEach(timers []*reactor.Timer, fn func(*reactor.Timer)) func() {
	return func() {
		for _, timer := range timers {
			fn(timer)
		}
	}
}

func TestTimerStartAndStopAllocateNothing(t *testing.T) {
	timers := manyTimers(t, newLoop(t), time.Hour, 0, func() {})
	mustNotAllocate(t, onEach(timers, func(timer *reactor.Timer) { timer.Stop(); timer.Start() }))
}

func TestTimerResetAllocatesNothing(t *testing.T) {
	timers := manyTimers(t, newLoop(t), time.Hour, 0, func() {})
	mustNotAllocate(t, onEach(timers, func(timer *reactor.Timer) { timer.Reset(time.Minute) }))
}

func TestTimerAgainAllocatesNothing(t *testing.T) {
	timers := manyTimers(t, newLoop(t), time.Hour, time.Hour, func() {})
	mustNotAllocate(t, onEach(timers, (*reactor.Timer).Again))
}

func TestTimerFiringAllocatesNothing(t *testing.T) {
	loop, clock := newHandLoop(t)
	fired := 0
	timers := manyTimers(t, loop, 0, 0, func() { fired++ })
	mustNotAllocate(t, func() {
		clock.now += time.Second
		pollTimes(t, loop, 1)
		onEach(timers, (*reactor.Timer).Start)()
	})
	if fired < 100*len(timers) {
		t.Errorf("%d fired: nothing was tested", fired)
	}
}

func TestTimerRepeatingAllocatesNothing(t *testing.T) {
	loop, clock := newHandLoop(t)
	fired := 0
	timers := manyTimers(t, loop, 0, time.Second, func() { fired++ })
	mustNotAllocate(t, func() {
		clock.now += time.Second
		pollTimes(t, loop, 1)
	})
	if fired < 100*len(timers) {
		t.Errorf("%d fired: nothing was tested", fired)
	}
}

func TestFeedAllocatesNothing(t *testing.T) {
	loop := newLoop(t)
	needFreeWakes(t, loop)
	fed := 0
	timers := manyTimers(t, loop, time.Hour, time.Hour, func() { fed++ })
	w := watch(t, loop, pipe(t).Read, reactor.Read, func(reactor.Ready) { fed++ })
	mustNotAllocate(t, func() {
		onEach(timers, func(timer *reactor.Timer) { must(t, timer.Feed()) })()
		must(t, w.Feed(reactor.Read))
		loop.FeedFD(w.FD(), reactor.Read)
		pollTimes(t, loop, 1)
	})
	if fed < 100*(len(timers)+1) {
		t.Errorf("%d calls: nothing was tested", fed)
	}
}

func TestHooksAllocateNothing(t *testing.T) {
	loop := newLoop(t)
	needFreeWakes(t, loop)
	calls := 0
	hooks := []*reactor.Hook{loop.OnPrepare(func() { calls++ }), loop.OnCheck(func() { calls++ }), loop.OnIdle(func() { calls++ })}
	mustNotAllocate(t, func() {
		pollTimes(t, loop, 1)
		for _, h := range hooks {
			h.Stop()
			h.Start()
		}
	})
	if calls < 300 {
		t.Errorf("%d calls: nothing was tested", calls)
	}
	for _, h := range hooks {
		h.Stop()
	}
}

func TestPostAllocatesNothing(t *testing.T) {
	loop := newLoop(t)
	needFreeWakes(t, loop)
	ran := 0
	fn := func() { ran++ }
	batch := func() {
		for range 500 {
			must(t, loop.Post(fn))
		}
		pollTimes(t, loop, 1)
	}
	batch() // there are two queues
	mustNotAllocate(t, batch)
	if ran < 100*500 {
		t.Errorf("%d ran: nothing was tested", ran)
	}
}

// streamAllocs is a stream and its peer, and an operation that moves bytes.
func streamAllocs(t *testing.T, config reactor.StreamConfig, operation func(loop *reactor.Loop, s *reactor.Stream, peer *fdtest.End)) {
	t.Helper()
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	for _, transport := range fdtest.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := transport.Open(t)
			defer theirs.Close()
			s, err := loop.NewStream(ours.Read, ours.Write, config)
			must(t, err)
			mustNotAllocate(t, func() { operation(loop, s, theirs) })
			if n := loop.Stats(); n.BytesRead+n.BytesWritten < 100*64 {
				t.Errorf("%d bytes read, %d written: nothing was tested", n.BytesRead, n.BytesWritten)
			}
			s.Close()
		})
	}
}

func TestStreamWriteAllocatesNothing(t *testing.T) {
	var message, buf [64]byte
	streamAllocs(t, reactor.StreamConfig{}, func(loop *reactor.Loop, s *reactor.Stream, peer *fdtest.End) {
		must(t, s.Write(message[:]))
		must(t, loop.Poll(0))
		unix.Read(peer.Read, buf[:])
	})
}

func TestStreamReadAllocatesNothing(t *testing.T) {
	var message [64]byte
	got := 0
	config := reactor.StreamConfig{OnData: func(data []byte) { got += len(data) }}
	streamAllocs(t, config, func(loop *reactor.Loop, _ *reactor.Stream, peer *fdtest.End) {
		unix.Write(peer.Write, message[:])
		must(t, loop.Poll(0))
	})
}

func TestStreamEchoAllocatesNothing(t *testing.T) {
	var message, buf [64]byte
	var echo *reactor.Stream
	config := reactor.StreamConfig{OnData: func(data []byte) { must(t, echo.Write(data)) }}
	streamAllocs(t, config, func(loop *reactor.Loop, s *reactor.Stream, peer *fdtest.End) {
		echo = s
		unix.Write(peer.Write, message[:])
		must(t, loop.Poll(0))
		unix.Read(peer.Read, buf[:])
	})
}

// TestStreamBacklogAllocatesNothing: more than the kernel takes at once, with the
// marks crossed both ways.
func TestStreamBacklogAllocatesNothing(t *testing.T) {
	message, buf := make([]byte, 300_000), make([]byte, 64<<10)
	drained := 0
	config := reactor.StreamConfig{HighWater: 64 << 10, OnDrain: func() { drained++ }}
	streamAllocs(t, config, func(loop *reactor.Loop, s *reactor.Stream, peer *fdtest.End) {
		must(t, s.Write(message))
		for s.Buffered() > 0 {
			must(t, loop.Poll(0))
			unix.Read(peer.Read, buf)
		}
	})
	if !raceEnabled && drained < 100 {
		t.Errorf("OnDrain was called %d times: nothing was tested", drained)
	}
}

// TestManyStreamsWriteWithoutThePool: each has a chunk of the loop's until the end of the iteration. Of fifty, forty-six had one of the
// pool that all loops share, which each collection of garbage empties.
func TestManyStreamsWriteWithoutThePool(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	loop := newLoop(t)
	links := make([]*link, 50)
	for i := range links {
		links[i] = newLink(t, loop, fdtest.Transports()[0], nil)
	}
	message, buf := make([]byte, 2<<10), make([]byte, 2<<10)
	mustNotAllocate(t, func() {
		for range 2 {
			runtime.GC() // the first one keeps what there was for the second
		}
		for _, l := range links {
			must(t, l.stream.Write(message))
		}
		pollTimes(t, loop, 1)
		for _, l := range links {
			l.peer.Receive(t, buf)
		}
	})
}
