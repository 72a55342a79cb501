package reactor_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// Each of these was a bug once. The comment says which.

// TestFlushThatMeetsAFullPipeDoesNotSilenceTheStream: a write that found the
// pipe full and a later one of the same iteration that did not left the stream
// waiting for room that it had not asked for.
func TestFlushThatMeetsAFullPipeDoesNotSilenceTheStream(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		_, w := l.stream.FDs()
		fdtest.Shrink(t, w)
		var want, got []byte
		l.loop.Post(func() {
			for l.stream.Buffered() == 0 {
				piece := pattern(len(want), 1000)
				want = append(want, piece...)
				must(t, l.stream.Write(piece))
				l.stream.Flush()
			}
			got, _ = l.peer.Available(t) // now there is room again
		})
		l.poll()
		l.write("later")
		want = append(want, "later"...)
		got = append(got, l.receive(len(want)-len(got))...)
		wantBytes(t, got, want)
	})
}

// TestFlushMakesNoCallback: a write error was reported from inside Flush.
func TestFlushMakesNoCallback(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.CloseRead()
		l.write("x")
		l.stream.Flush()
		l.wantCalls("")
		l.pollUntil(func() bool { return l.saw("write error") })
	})
}

// TestWriteErrorEndsCongestion: it dropped what was queued and left the stream
// congested, so that whoever waited for OnDrain waited for ever.
func TestWriteErrorEndsCongestion(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 10_000} }
	l := newLink(t, newLoop(t), fdtest.Transports()[0], config)
	l.fill(10_000)
	l.peer.CloseRead()
	l.pollUntil(func() bool { return l.saw("write error") })
	if l.stream.Congested() {
		t.Error("congested with nothing queued")
	}
	l.poll()
	l.wantCalls("write error drain")
}

// TestClosedStreamIsNotCongested: it was for ever, with nothing queued and no OnDrain to come.
func TestClosedStreamIsNotCongested(t *testing.T) {
	for how, end := range map[string]func(*reactor.Stream){
		"Close":  (*reactor.Stream).Close,
		"Detach": func(s *reactor.Stream) { s.Detach() },
	} {
		t.Run(how, func(t *testing.T) {
			config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 10_000} }
			l := newLink(t, newLoop(t), fdtest.Transports()[0], config)
			l.fill(10_000)
			r, w := l.stream.FDs()
			ours := &fdtest.End{Read: r, Write: w}
			if end(l.stream); how == "Detach" {
				ours.Close()
			}
			if l.stream.Congested() {
				t.Error("congested with nothing queued")
			}
		})
	}
}

// TestPanicInOnCloseDoesNotKeepOthersFromTheirs: streams that were to be told in
// the same iteration were forgotten.
func TestPanicInOnCloseDoesNotKeepOthersFromTheirs(t *testing.T) {
	loop := newLoop(t)
	told := 0
	for i := range 3 {
		s, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(error) {
			told++
			if i == 0 {
				panic("left")
			}
		}})
		must(t, err)
		s.Close()
	}
	if got := leaveRun(loop); got != "left" {
		t.Errorf("recovered %v", got)
	}
	if told != 3 {
		t.Errorf("%d of 3 streams were told", told)
	}
}

// TestLongestPeriodDoesNotSpin: the next deadline overflowed and was in the past.
func TestLongestPeriodDoesNotSpin(t *testing.T) {
	loop := newLoop(t)
	fired := 0
	timer := loop.Every(0, math.MaxInt64, func() { fired++ })
	pollUntil(t, loop, func() bool { return fired > 0 })
	pollTimes(t, loop, 5)
	if fired != 1 {
		t.Errorf("fired %d times", fired)
	}
	timer.Stop()
}

// TestRestartedWatchersWaitForTheNextBatch: two watchers of one descriptor that
// stopped and started themselves kept the iteration from ending.
func TestRestartedWatchersWaitForTheNextBatch(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	for range 2 {
		var w *reactor.FDWatcher
		w = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {
			must(t, w.Stop())
			if calls++; calls < 100 {
				must(t, w.Start())
			}
		})
	}
	pollTimes(t, loop, 1)
	if calls != 2 {
		t.Errorf("two watchers were called %d times in one iteration", calls)
	}
	pollTimes(t, loop, 1)
	if calls != 4 {
		t.Errorf("two watchers were called %d times in two iterations", calls)
	}
}

// TestNumberBeyondAllDescriptorsIsRefused: the table of descriptors was made
// as long as the number asked for.
func TestNumberBeyondAllDescriptorsIsRefused(t *testing.T) {
	loop := newLoop(t)
	for _, fd := range []int{1 << 30, math.MaxInt32, math.MaxInt} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := loop.WatchFD(fd, reactor.Read, func(reactor.Ready) { t.Error("called") })
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; err == nil || cost > 1<<20 {
			t.Errorf("fd %d: %v, at the cost of %d bytes", fd, err, cost)
		}
	}
}

// TestNumberIsNotCutOff: watchers keep a descriptor in 32 bits, and what is above these must not make it another one.
func TestNumberIsNotCutOff(t *testing.T) {
	loop := newLoop(t)
	readFD := pipe(t).Read
	beyond := readFD + 1<<(strconv.IntSize/2) // where int has 32 bits, merely not open
	if _, err := loop.WatchFD(beyond, reactor.Read, func(reactor.Ready) {}); err == nil {
		t.Errorf("fd %d is watched, as %d", beyond, readFD)
	}
	if _, err := loop.NewStream(beyond, -1, reactor.StreamConfig{}); err == nil {
		t.Errorf("fd %d is a stream, of %d", beyond, readFD)
	}
	if _, err := loop.Once(beyond, reactor.Read, -1, func(reactor.Ready) {}); err == nil {
		t.Errorf("fd %d is waited for, as %d", beyond, readFD)
	}
}

// TestCloseReleasesProcessWatchers: their descriptors were left open, which the
// check for leaks would tell.
func TestCloseReleasesProcessWatchers(t *testing.T) {
	loop := newLoop(t)
	cmd, stdin := startCat(t)
	watcher, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
	must(t, err)
	must(t, loop.Close())
	if watcher.Active() {
		t.Error("the watcher is active")
	}
	must(t, stdin.Close())
	must(t, cmd.Wait())
}

// TestContextThatEndsAfterRunIsHarmless: its function looked at the poller while
// Close took it away.
func TestContextThatEndsAfterRunIsHarmless(t *testing.T) {
	for range 20 {
		loop := newLoop(t)
		ctx, cancel := context.WithCancel(context.Background())
		loop.Stop()
		go cancel()
		if err := loop.Run(ctx); err != nil {
			wantErr(t, err, context.Canceled)
		}
		must(t, loop.Close())
	}
}

// TestBusyPollCountsTowardsTheTimeout: after polling for all of the timeout, the
// loop blocked for as long again.
func TestBusyPollCountsTowardsTheTimeout(t *testing.T) {
	loop := newBusyLoop(t)
	fired := false
	loop.AfterFunc(time.Millisecond, func() { fired = true })
	run(t, loop)
	if n := loop.Stats().Blocked; !fired || n != 0 {
		t.Errorf("fired %v, blocked %d times", fired, n)
	}
}

// TestStreamThatCannotWatchItsWriterLetsItsReaderGo is no bug so far, but was
// looked for: the reader has been started when the writer is refused.
func TestStreamThatCannotWatchItsWriterLetsItsReaderGo(t *testing.T) {
	loop := newLoop(t)
	file, err := os.Open(os.Args[0])
	must(t, err)
	defer file.Close()
	p := readyPipe(t)
	_, err = loop.NewStream(p.Read, int(file.Fd()), reactor.StreamConfig{OnData: func([]byte) { t.Error("called") }})
	wantErr(t, err, unix.EPERM)
	verify(t, loop)
	run(t, loop)
	pollTimes(t, loop, 2)
}

// TestPanicAmidTheEndingLeavesALoopThatCloses: it left the loop running for ever,
// so that Close returned ErrNested.
func TestPanicAmidTheEndingLeavesALoopThatCloses(t *testing.T) {
	loop := newLoop(t) // whose cleanup closes it
	_, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{OnClose: func(error) { panic("again") }})
	must(t, err)
	loop.Post(func() { panic("left") })
	if got := leaveRun(loop); got != "again" {
		t.Errorf("recovered %v", got)
	}
	wantErr(t, loop.Run(context.Background()), reactor.ErrClosed)
}

// TestShutdownWritesWhatIsQueued: it closed the loop with bytes in it.
func TestShutdownWritesWhatIsQueued(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := pattern(0, 1<<20)
		must(t, l.stream.Write(want))
		received := make(chan []byte)
		go func() {
			var got []byte
			for eof := false; len(got) < len(want) && !eof; {
				fdtest.Await(t, l.peer.Read, unix.POLLIN)
				var data []byte
				data, eof = l.peer.Available(t)
				got = append(got, data...)
			}
			received <- got
		}()
		must(t, l.loop.Shutdown(context.Background()))
		wantBytes(t, <-received, want)
	})
}

// TestHostIsToldOfACallbackOwedByThePoll: a callback that the last step of an
// iteration put off waited for something else to happen.
func TestHostIsToldOfACallbackOwedByThePoll(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }
	l := newLink(t, newLoop(t), fdtest.Transports()[0], config)
	fd := hostedFD(t, l.loop)
	must(t, l.stream.Write(pattern(0, 2000)))
	must(t, l.loop.Poll(0))
	for !l.saw("drain") {
		if !fdtest.Readable(t, fd) {
			t.Fatal("OnDrain is owed, and FD is not readable")
		}
		must(t, l.loop.Poll(0))
	}
}

// TestCommitWithoutAppendBufferIsRefused: it was a nil dereference.
func TestCommitWithoutAppendBufferIsRefused(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	wantErr(t, l.stream.Commit([]byte("x")), reactor.ErrInvalid)
}

// TestDrainTakesTheEOFBehindTheLastBytes: it stopped at a short read, so that a
// child whose exit was reported before the end of its output had no OnEOF.
func TestDrainTakesTheEOFBehindTheLastBytes(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.peer.Send(t, []byte("last"))
		l.peer.CloseWrite()
		l.stream.Drain()
		l.wantCalls("data eof")
	})
}

// TestUnreadOfASocketWhoseWritingHasEnded: its descriptor stays open for reading,
// and what was dropped was forgotten.
func TestUnreadOfASocketWhoseWritingHasEnded(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[1], nil)
	l.peer.CloseRead()
	l.write("never sent")
	l.pollUntil(func() bool { return l.saw("write error") })
	wantUnread(t, l, len("never sent"))
}

// TestLargeBatchesAmongManySmallOnesAllocateNothing: the shared pool adapts to
// the small ones and gives larger buffers away, so each batch grew its own anew.
func TestLargeBatchesAmongManySmallOnesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race pools are emptied at random: nothing to count")
	}
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	message, buf := make([]byte, 64), make([]byte, 64<<10)
	send := func(times int) {
		for range times {
			must(t, l.stream.Write(message))
		}
		l.poll()
		l.peer.Receive(t, buf)
	}
	for range 50_000 { // more than the pool takes to adapt
		send(1)
	}
	if n := testing.AllocsPerRun(100, func() { send(1); send(100) }); n != 0 {
		t.Errorf("%v allocations per large batch", n)
	}
}

// TestStreamsLeftByTwoPanicsAreClosed: a panic amid the ending left the
// descriptors of streams open for ever.
func TestStreamsLeftByTwoPanicsAreClosed(t *testing.T) {
	loop := newLoop(t) // whose leak check is the test
	_, err := loop.NewStream(fdtest.Dup(t, pipe(t).Read), -1, reactor.StreamConfig{})
	must(t, err)
	loop.OnCleanup(func() { panic("again") })
	loop.Post(func() { panic("left") })
	if got := leaveRun(loop); got != "again" {
		t.Errorf("recovered %v", got)
	}
}

// TestRefusedWriteDoesNotTakeTheDrainAway: after a Flush had emptied the queue, a
// write that was refused ended the congestion without a call of OnDrain.
func TestRefusedWriteDoesNotTakeTheDrainAway(t *testing.T) {
	config := func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 10, MaxBuffered: 100} }
	for name, write := range map[string]func(s *reactor.Stream, p []byte) error{
		"Write":  func(s *reactor.Stream, p []byte) error { return s.Write(p) },
		"Writev": func(s *reactor.Stream, p []byte) error { return s.Writev(p) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, newLoop(t), fdtest.Transports()[0], config)
			must(t, write(l.stream, pattern(0, 20)))
			l.stream.Flush()
			wantErr(t, write(l.stream, pattern(0, 200)), reactor.ErrBufferFull)
			pollTimes(t, l.loop, 3)
			l.wantCalls("drain")
		})
	}
}

// TestReaderGoesOnBehindAPanic: it took every further call for one from inside the
// function that had panicked, and kept all data for ever.
func TestReaderGoesOnBehindAPanic(t *testing.T) {
	for name, c := range map[string]struct{ pieces, units []string }{
		"a unit in one piece": {[]string{"a\nb\nc\nd\n"}, []string{"a", "b", "c", "d", "late"}},
		"a unit in two":       {[]string{"a\nb", "\nc\n", "d\n"}, []string{"a", "b", "c", "late", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r reactor.Reader
			var units []string
			must(t, r.Each(reactor.Line(0), func(unit []byte) {
				units = append(units, string(unit))
				if string(unit) == "b" {
					must(t, r.Feed([]byte("late\n"))) // comes behind what is being fed
					panic("on purpose")
				}
			}))
			for _, piece := range c.pieces {
				func() {
					defer func() { _ = recover() }()
					must(t, r.Feed([]byte(piece)))
				}()
			}
			must(t, r.End())
			if !slices.Equal(units, c.units) {
				t.Errorf("got %q, want %q", units, c.units)
			}
		})
	}
}

// TestPanicInsideDrainIsTheStreams: it was taken for one of whoever called Drain,
// and the stream was left in the middle of its callback.
func TestPanicInsideDrainIsTheStreams(t *testing.T) {
	var kinds []string
	loop := newLoopWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { kinds = append(kinds, p.Kind) }})
	config := func(*link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func(data []byte) {
			if string(data) == "bad" {
				panic(data)
			}
		}}
	}
	l := newLink(t, loop, fdtest.Transports()[0], config)
	must(t, l.stream.Pause())
	for _, data := range []string{"good", "bad"} {
		l.peer.Send(t, []byte(data))
		loop.Post(func() {
			l.stream.Drain()
			panic("behind Drain")
		})
		pollTimes(t, loop, 1)
	}
	pollTimes(t, loop, 1)
	if got := fmt.Sprint(kinds); got != "[post stream]" {
		t.Errorf("the panics were of %s", got)
	}
	l.wantCalls("data close")
}

// TestReaderIsTheSameAfterTheEOF: asked for again then, it was another one, that
// refused with ErrClosed.
func TestReaderIsTheSameAfterTheEOF(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	r := l.stream.Reader()
	must(t, r.Each(reactor.Line(0), func([]byte) {}))
	l.peer.CloseWrite()
	l.pollUntil(func() bool { return l.saw("eof") })
	if l.stream.Reader() != r {
		t.Error("it is another one")
	}
	wantErr(t, r.Push(reactor.Line(0), nil), io.EOF)
}

// TestResumeThatFailsLeavesTheReaderPaused: the units that it held were delivered.
func TestResumeThatFailsLeavesTheReaderPaused(t *testing.T) {
	leaktest.Check(t)
	sim := reactortest.New(t, reactor.Config{})
	p := pipe(t)
	fd := fdtest.Dup(t, p.Read)
	s, err := sim.Loop.NewStream(fd, -1, reactor.StreamConfig{})
	must(t, err)
	units := 0
	must(t, s.Reader().Each(reactor.Line(0), func([]byte) {
		units++
		must(t, s.Pause())
	}))
	p.Send(t, []byte("one\ntwo\n"))
	sim.Poller.Pulse(fd, reactor.Read)
	pollTimes(t, sim.Loop, 2)
	sim.Poller.FailNext(reactortest.Add, unix.ENOMEM)
	wantErr(t, s.Resume(), unix.ENOMEM)
	pollTimes(t, sim.Loop, 2)
	if units != 1 || !s.Paused() {
		t.Errorf("%d units, paused %v", units, s.Paused())
	}
	must(t, s.Resume())
	pollTimes(t, sim.Loop, 2)
	if units != 2 {
		t.Errorf("%d units after Resume", units)
	}
}

// TestBackendOfAClosedLoopHasItsName: it was a nil dereference.
func TestPollerOfAClosedLoopHasItsName(t *testing.T) {
	loop := newLoop(t)
	name := loop.Backend()
	must(t, loop.Close())
	if got := loop.Backend(); got != name || name == "" {
		t.Errorf("%q became %q", name, got)
	}
}

// TestPathLookedAtByALoopThatIsHeldUpCountsAsFresh: the clock was read after the look.
// Of a loop that was held up in between, a change that got the same time as the one
// before it went unseen.
func TestPathLookedAtByALoopThatIsHeldUpCountsAsFresh(t *testing.T) {
	fresh := reactor.LookAt("a file", func(string) reactor.PathInfo {
		info := reactor.PathInfo{ChangeTime: time.Now()}
		busyUntil(time.Now().Add(2 * reactor.CoarseTick))
		return info
	})
	if !fresh {
		t.Error("another change could have had the same time")
	}
}

// TestPathOfAFileSystemWithoutFractionsIsFreshForSeconds: a change within the second of the one before it went unseen.
func TestPathOfAFileSystemWithoutFractionsIsFreshForSeconds(t *testing.T) {
	fresh := reactor.LookAt("a file", func(string) reactor.PathInfo {
		return reactor.PathInfo{ChangeTime: time.Unix(time.Now().Unix()-1, 0)}
	})
	if !fresh {
		t.Error("another change could have had the same time")
	}
}

// TestFlushEndsCongestion: with nothing queued any more the stream was congested until
// the end of the iteration, and so were those that waited for it.
func TestFlushEndsCongestion(t *testing.T) {
	onLinks(t, func(*link) reactor.StreamConfig { return reactor.StreamConfig{HighWater: 1000} }, func(t *testing.T, l *link) {
		must(t, l.stream.Write(pattern(0, 2000)))
		if !l.stream.Congested() {
			t.Error("not congested by 2000 bytes")
		}
		l.stream.Flush()
		if n := l.stream.Buffered(); n > 0 || l.stream.Congested() {
			t.Errorf("%d bytes are queued, congested %v", n, l.stream.Congested())
		}
		l.wantCalls("")
		pollTimes(t, l.loop, 2)
		l.wantCalls("drain")
	})
}

// TestRefusedStreamLeavesItsDescriptorsBlocking: who then read the standard input
// without a stream, because the output was a file, ran into EAGAIN.
func TestRefusedStreamLeavesItsDescriptorsBlocking(t *testing.T) {
	loop := newLoop(t)
	file, err := os.Open(os.Args[0])
	must(t, err)
	defer file.Close()
	for _, blocking := range []bool{true, false} {
		p := pipe(t)
		must(t, unix.SetNonblock(p.Read, !blocking))
		_, err = loop.NewStream(p.Read, int(file.Fd()), reactor.StreamConfig{})
		wantErr(t, err, unix.EPERM)
		flags, err := unix.FcntlInt(uintptr(p.Read), unix.F_GETFL, 0)
		must(t, err)
		if got := flags&unix.O_NONBLOCK == 0; got != blocking {
			t.Errorf("blocking is %v, was %v", got, blocking)
		}
	}
}

// TestDrainOfOthersInsideDrainLeavesNothing: what OnData read of other streams counted as
// read of its own, and the rest was left.
func TestDrainOfOthersInsideDrainLeavesNothing(t *testing.T) {
	loop := newLoop(t)
	var others []*link
	for range 3 {
		others = append(others, newLink(t, loop, fdtest.Transports()[0], nil))
	}
	l := newLink(t, loop, fdtest.Transports()[0], func(*link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func([]byte) {
			for _, other := range others {
				other.stream.Drain()
			}
		}}
	})
	sent := make(map[*link]int)
	for _, each := range append(others, l) {
		fdtest.Widen(t, each.peer.Write)
		sent[each] = each.peer.Offer(t, pattern(0, 1<<20))
	}
	l.stream.Drain()
	if got := len(l.data); got != sent[l] {
		t.Errorf("drained %d of %d bytes", got, sent[l])
	}
}

// TestWritevOfMoreThanAnIntCountsIsRefused: the sum overflowed, and nothing, or less than
// nothing, was queued without an error.
func TestWritevOfMoreThanAnIntCountsIsRefused(t *testing.T) {
	if strconv.IntSize > 32 {
		t.Skip("the buffers would not fit in the memory")
	}
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	p := make([]byte, 1<<30)
	for _, bufs := range [][][]byte{{p, p, p, p}, {p, p, p[:1]}} {
		wantErr(t, l.stream.Writev(bufs...), reactor.ErrBufferFull)
		if n := l.stream.Accepted(); n > 0 {
			t.Errorf("%d bytes were accepted", n)
		}
	}
}

// TestFlushAfterCloseWriteWritesAndHalfCloses: it did nothing.
func TestFlushAfterCloseWriteWritesAndHalfCloses(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.write("hello")
		l.stream.CloseWrite()
		l.stream.Flush()
		data, eof := l.peer.Available(t)
		if string(data) != "hello" || !eof {
			t.Errorf("the other side got %q, the EOF %v", data, eof)
		}
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("close") })
		l.wantCalls("eof close")
	})
}
