package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/stringcodec"
	"github.com/evfork/evfork/rpc/rpctest"
)

// What the pipe held when Shutdown closed it was taken for unread for ever,
// though the child went on to read it.
func TestCallsReadAfterShutdownMayHaveBeenStarted(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{}, write(hello), write(frame(0, "\x02up")), readAll, exit(5))
	var w watched
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	f.until(func() bool { return len(w.events) == 1 })
	stop(t, proc)
	r := f.begin(c, "something")
	c.Shutdown()
	must(t, f.Poll(0)) // the bytes leave, the pipe is closed
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(r.ended)
	var lost *rpc.LostError
	if !errors.As(r.err, &lost) || !lost.Started {
		t.Errorf("the call ended with %v", r.err)
	}
}

// A frame that was cut off was taken for an orderly end if the exit code was 0
// and nothing was in flight.
func TestTruncatedEventIsAnError(t *testing.T) {
	f := newFixture(t)
	var w watched
	f.client(f.raw(child.Config{}, write(hello), write(frame(0, "\x02hi")[:9]), exit(0)), peer{}, w.config(rpc.Config{}))
	f.until(w.ended)
	if w.failed != 1 || !strings.Contains(w.err.Error(), "in the middle of a frame, after 9 bytes") {
		t.Errorf("OnDestroy was called %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
	}
}

// The reader of ServeGoroutines was blocked in read(2) when a handler's error
// had ended the server, and so the child did not exit.
func TestHandlerErrorEndsTheChildOnAnyEventsWire(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		for _, test := range []struct {
			function string
			wire     rpc.Wire
		}{
			{"fail", rpc.AnyEventAsync}, {"panic", rpc.AnyEventAsync},
			{"fail", rpc.AnyEventSync}, {"panic", rpc.AnyEventSync},
		} {
			t.Run(test.function+"/"+test.wire.String(), func(t *testing.T) {
				f := newFixture(t)
				p.wire = test.wire
				_, err := f.ask(f.connect(p, rpc.Config{}), test.function, "out of cheese")
				var exit *child.ExitError
				if !errors.As(err, &exit) || exit.State.Code != 1 || !strings.Contains(string(exit.State.Stderr), "out of cheese") {
					t.Errorf("the call ended with %v", err)
				}
			})
		}
	})
}

// Replies that were held back to be sent with others were lost with the call
// that ended the server.
func TestCallsBeforeAHandlerErrorAreAnsweredOnAnyEventsWire(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.wire, p.limit = rpc.AnyEventAsync, 1
		c := f.connect(p, rpc.Config{})
		for range 100 { // so that the handlers are known to be cheap
			f.works(c)
		}
		good, bad := []*result{}, (*result)(nil)
		for range 10 {
			good = append(good, f.begin(c, "echo", "good"))
		}
		bad = f.begin(c, "fail", "bad")
		f.until(bad.ended)
		for i, r := range good {
			if r.err != nil {
				t.Errorf("call %d, before the one that failed, ended with %v", i, r.err)
			}
		}
		if !isLost(bad.err) {
			t.Errorf("the call that failed ended with %v", bad.err)
		}
	})
}

// The end of the input left nothing on the loop that counted, and so the server
// gave up calls which goroutines were still working on.
func TestAsyncServerWaitsForCallsThatAreElsewhere(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	in := fileOf(ours)
	defer in.Close()
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	defer closeLoop(loop)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Wire: rpc.AnyEventAsync})
	must(t, err)
	_, err = in.WriteString(frame(1, "\x05later"))
	must(t, err)
	must(t, unix.Shutdown(ours, unix.SHUT_WR))
	begun, ended := make(chan struct{}), make(chan error, 1)
	var answer rpc.Done
	go func() {
		<-begun
		loop.Do(context.Background(), func() {}) // a round in which the EOF is seen
		loop.Do(context.Background(), func() {})
		ended <- loop.Do(context.Background(), func() { answer.Reply("now") })
	}()
	err = server.ServeAsync(loop, func(_ rpc.Payload, done rpc.Done) {
		answer = done
		close(begun)
	})
	if err != nil {
		t.Errorf("the server returned %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("answering: %v", err)
	}
	if reply := readToEnd(in); reply != frame(1, "\x03now") {
		t.Errorf("the reply is %q", reply)
	}
}

// runIntoPanic runs the loop until a callback panics.
func (f *fixture) runIntoPanic() {
	f.t.Helper()
	defer func() {
		if recover() == nil {
			f.t.Error("no panic has left Run")
		}
	}()
	f.until(func() bool { return false })
}

// A panic in one call's callback kept the ends of all others from their callers.
func TestPanicInACallbackKeepsNoOtherCallFromEnding(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.connect(pipes("sync"), w.config(rpc.Config{MaxInFlight: 3}))
	first := f.begin(c, "signal", "9")
	must(t, c.Go(func(rpc.Payload, error) { panic("in a callback") }, "echo"))
	last := f.begin(c, "echo")
	ready, called := 0, make(chan error, 1)
	must(t, c.WaitReady(func() { ready++ }))
	go func() {
		_, err := c.Call(context.Background(), "echo")
		called <- err
	}()
	f.runIntoPanic()
	if first.ends != 1 || last.ends != 1 || ready != 1 {
		t.Errorf("the calls ended %d and %d times, WaitReady's function was called %d times", first.ends, last.ends, ready)
	}
	if err := <-called; err == nil {
		t.Error("Call returned a reply")
	}
	if w.failed != 1 {
		t.Errorf("OnError was called %d times", w.failed)
	}
}

// The same for those who wait for room.
func TestPanicInWaitReadyKeepsNobodyWaiting(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 1})
	f.begin(c, "hold")
	ready := 0
	must(t, c.WaitReady(func() { panic("in a callback") }))
	must(t, c.WaitReady(func() { ready++ }))
	must(t, f.Poll(0))
	func() {
		defer func() { recover() }()
		f.Close()
	}()
	if ready != 1 {
		t.Errorf("the second function was called %d times", ready)
	}
}

// A call made while others were being lost was accepted, and never ended.
func TestCallMadeWhileOthersAreLostIsRefused(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.raw(child.Config{}, write(hello), write(frame(0, "\x02up")), wait)
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	f.until(func() bool { return len(w.events) == 1 })
	// A second reader, as a grandchild would be: the pipe can still be written to.
	reader, err := os.Open(fmt.Sprintf("/proc/%d/fd/3", proc.PID()))
	if err != nil {
		t.Skipf("cannot open another process's pipe here: %v", err)
	}
	defer reader.Close()
	var again error
	ended := false
	must(t, c.Go(func(rpc.Payload, error) {
		again = c.Go(func(rpc.Payload, error) { t.Error("called back") }, "echo")
		ended = true
	}, "echo"))
	must(t, proc.Kill())
	f.until(func() bool { return ended })
	if again == nil {
		t.Error("the call was accepted")
	}
}

// Calls of goroutines that waited for room when a child was killed were told of
// a broken pipe, instead of what had happened.
func TestWaitingCallsLearnWhyTheChildEnded(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("async"), child.Config{})
	c := f.client(proc, peer{}, rpc.Config{MaxInFlight: 1})
	f.begin(c, "hold")
	errs := make(chan error, 10)
	ended := 0
	for range 10 {
		go func() {
			_, err := c.Call(context.Background(), "echo")
			errs <- err
			f.Post(func() { ended++ })
		}()
	}
	for !rpc.AnyWaiting(c) {
		must(t, f.Poll(time.Millisecond))
	}
	must(t, proc.Kill())
	defer f.Hold()()
	f.until(func() bool { return ended == 10 })
	for range 10 {
		var lost *rpc.LostError
		var exit *child.ExitError
		if err := <-errs; !errors.As(err, &lost) || lost.Started || !errors.As(err, &exit) || exit.State.Signal != syscall.SIGKILL {
			t.Errorf("Call returned %v", err)
		}
	}
}

// The stack made the error reply of a panic longer than a small MaxFrame, and
// that ended the server instead of the call.
func TestErrorReplyIsCutToTheFrameLimit(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.maxFrame = 64
		c := f.connect(p, rpc.Config{})
		_, err := f.ask(c, "panic", "ouch")
		var remote *rpc.RemoteError
		if !errors.As(err, &remote) || remote.Message != "ouch" || remote.Kind != rpc.KindPanic {
			t.Errorf("a panic: %v", err)
		}
		_, err = f.ask(c, "fail", strings.Repeat("é", 25))
		if !errors.As(err, &remote) || !strings.HasPrefix(remote.Message, "ééé") || remote.Kind != rpc.KindError {
			t.Errorf("an error: %v", err)
		}
		f.works(c)
	})
}

// Which of two things that had both happened ShutdownWait reported was left to
// chance.
func TestShutdownWaitPrefersTheResultToTheClosedLoop(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	c.Shutdown()
	must(t, f.Run(t.Context()))
	must(t, f.Close())
	for range 100 {
		if err := c.ShutdownWait(t.Context()); err != nil {
			t.Fatalf("after an orderly end: %v", err)
		}
	}
}

// A client that could not be made called back all the same.
func TestNewClientThatFailsCallsNothingBack(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.raw(child.Config{}, write(hello), write(frame(0, "\x02up")), exit(1))
	c, err := rpc.NewClient(proc, w.config(rpc.Config{MaxBuffered: 5}))
	if err == nil || c != nil {
		t.Fatalf("NewClient returned %v, %v", c, err)
	}
	exited := false
	proc.OnExit(func(child.ExitState) { exited = true })
	f.until(func() bool { return exited })
	if w.ended() || len(w.events) > 0 {
		t.Errorf("OnDestroy was called %d times, OnError %d times, events %q", w.destroyed, w.failed, w.events)
	}
}

// A peer without a process that stops reading, and neither answers nor hangs up,
// kept its calls from ending.
func TestPeerThatReadsNoMoreLosesItsCalls(t *testing.T) {
	f := newFixture(t)
	transport, other := f.strangerOnPipes()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{}))
	answered, lost := f.begin(c, "one"), f.begin(c, "two")
	must(t, f.Poll(0))
	_, err := other.answers.WriteString(hello + frame(1, ""))
	must(t, err)
	must(t, other.requests.Close())
	f.until(w.ended)
	if answered.err != nil {
		t.Errorf("the call that was answered ended with %v", answered.err)
	}
	if !isLost(lost.err) || !errors.Is(lost.err, syscall.EPIPE) || w.failed != 1 {
		t.Errorf("the other ended with %v; OnError was called %d times", lost.err, w.failed)
	}
}

// A fan-out whose last worker could not be written to any more said so, and not how
// the child had ended, when it was the first to see it.
func TestFanOutWaitsForTheReasonOfAWriteError(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{Ladder: atOnce}, write(hello), closeIn, wait)
	c := f.client(proc, peer{}, rpc.Config{OnError: func(error) {}})
	f.until(func() bool { return c.Go(func(rpc.Payload, error) {}, "probe") != nil })
	fan := double.FanOut(t.Context(), []*rpc.Client{c}, new(source).jobs(-1), rpc.FanOutConfig{RunLoop: true})
	for r := range fan.Results() {
		if !errors.Is(r.Err, rpc.ErrNoWorkers) {
			t.Errorf("a job ended with %v", r.Err)
		}
	}
	if exit, ok := errors.AsType[*child.ExitError](fan.Err()); !ok || exit.State.Signal != syscall.SIGKILL || !errors.Is(fan.Err(), rpc.ErrNoWorkers) {
		t.Errorf("Err is %v", fan.Err())
	}
}

// A call made when the child could not be written to any more, and its end was
// not yet known, ended with a bare EPIPE: nobody could tell that it was safe to
// make it again.
func TestCallBetweenTheWriteErrorAndTheEndWasNotStarted(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{Ladder: child.Ladder{CloseWait: -1, TermWait: -1}}, write(hello), closeIn, wait)
	c := f.client(proc, peer{}, rpc.Config{OnError: func(error) {}})
	var refused error
	f.until(func() bool {
		refused = c.Go(func(rpc.Payload, error) {}, "probe")
		return refused != nil
	})
	if !isLost(refused) || !errors.Is(refused, syscall.EPIPE) {
		t.Errorf("Go returned %v", refused)
	}
	if err := c.WaitReady(func() { t.Error("there is room in a client that is going") }); err != refused {
		t.Errorf("WaitReady returned %v", err)
	}
	var err error
	ended := false
	release := f.Hold()
	go func() {
		defer release()
		_, e := c.Call(context.Background(), "late")
		f.Post(func() { ended, err = true, e })
	}()
	f.until(func() bool { return ended })
	lost, ok := errors.AsType[*rpc.LostError](err)
	if !ok || lost.Started {
		t.Fatalf("the call ended with %v", err)
	}
	if exit, ok := errors.AsType[*child.ExitError](err); !ok || exit.State.Signal != syscall.SIGKILL {
		t.Errorf("the cause is %v", lost.Cause)
	}
}

// A call without a callback corrupted the count of calls in flight, and its
// reply put the child down.
func TestCallWithoutCallbackIgnoresItsEnd(t *testing.T) {
	f := newFixture(t)
	c := f.connect(peer{transport: "pipes", server: "sync"}, rpc.Config{})
	must(t, c.Go(nil, "echo", "a"))
	must(t, c.GoTo(nil, "echo", "b"))
	must(t, c.GoBytes(nil, rpc.Strings("echo", "c")))
	must(t, c.GoBytesTo(nil, rpc.Strings("echo", "d")))
	if c.InFlight() != 4 {
		t.Errorf("%d calls are in flight", c.InFlight())
	}
	f.until(func() bool { return c.InFlight() == 0 })
	f.works(c)
}

// Fail without an error sent a reply: the caller took the failure for success.
func TestFailWithNilIsNoReply(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{})
	r := f.begin(c, "fail with nil")
	f.until(func() bool { return c.InFlight() == 0 })
	if remote, ok := errors.AsType[*rpc.RemoteError](r.err); !ok || remote.Kind != rpc.KindError {
		t.Errorf("the call ended with %v", r.err)
	}
	f.works(c)
}

// The parts of a call that had been read while the handler of another waited were not looked at
// when its own handler waited for them.
func TestPartsOfAWaitingCallReachItsHandler(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		var calls []*result
		var streams []*rpc.LoopStream
		f.works(c)
		for range 3 {
			r := &result{}
			s, err := c.GoStream(r, rpc.StreamOptions{Input: true}, request("sum"))
			must(t, err)
			calls, streams = append(calls, r), append(streams, s)
		}
		for i := range streams {
			s := streams[len(streams)-1-i] // the first call is the last to get its parts
			must(t, s.Send([]byte("part")))
			s.CloseSend()
			must(t, f.Poll(0))
		}
		f.until(func() bool { return c.InFlight() == 0 })
		for i, r := range calls {
			if r.err != nil || r.reply[0] != "1" {
				t.Errorf("call %d: %q, %v", i, r.reply, r.err)
			}
		}
	})
}

// writeOnly is rpc.FDs of a server that only sends events.
type writeOnly struct{ file *os.File }

func (w writeOnly) FDs() (readFD, writeFD int) { return -1, int(w.file.Fd()) }

// flooded makes a server whose events, of that size, are written by some goroutines until
// nobody reads the pipe any more, and tells how many bytes of them it has taken.
func (f *fixture) flooded(limit, size int) (server *rpc.Server, accepted *atomic.Int64, reader *os.File) {
	f.t.Helper()
	reader, writer, err := os.Pipe()
	must(f.t, err)
	server, err = rpc.NewServer(writeOnly{writer}, rpc.ServerConfig{Wire: rpc.AnyEventAsync, MaxBuffered: limit})
	must(f.t, err)
	f.t.Cleanup(func() { writer.Close() })
	accepted = new(atomic.Int64)
	for range 4 {
		f.servers.Go(func() {
			for server.EventBytes(make([]byte, size)) == nil {
				accepted.Add(int64(size))
			}
		})
	}
	f.t.Cleanup(func() { reader.Close() }) // ends the writing
	return server, accepted, reader
}

// waitFull waits until the server has taken so much, and takes no more.
func waitFull(server *rpc.Server, accepted *atomic.Int64, least int) {
	pollUntil(func() bool { return accepted.Load() >= int64(least) && rpc.IsFull(server, false) })
}

// pollUntil waits for what nobody tells.
func pollUntil(cond func() bool) {
	for !cond() {
		time.Sleep(time.Millisecond)
	}
}

// What a server was writing did not count: ServeGoroutines held twice as much as
// MaxBuffered when the parent read something and then stopped.
func TestWhatIsBeingWrittenCountsAsBuffered(t *testing.T) {
	f := newFixture(t)
	const limit, size, taken = 1 << 20, 10_000, 512 << 10
	const pipe, piece = 64 << 10, 128 << 10 // a piece counts until all of it is written
	server, accepted, reader := f.flooded(limit, size)
	waitFull(server, accepted, limit)
	_, err := io.CopyN(io.Discard, reader, taken)
	must(t, err)
	waitFull(server, accepted, limit+taken-piece)
	if got := accepted.Load(); got > limit+taken+pipe+piece+5*size {
		t.Errorf("%d bytes were taken of which %d were read, with a limit of %d", got, taken, limit)
	}
}

// replySizes serves calls on a socket with ServeGoroutines: each asks for a reply of so
// many bytes. begun is how many handlers have been called.
func (f *fixture) replySizes() (ours int, server *rpc.Server, begun *atomic.Int64) {
	f.t.Helper()
	ours, theirs := socketpair(f.t)
	f.t.Cleanup(func() { unix.Close(ours) })
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Wire: rpc.AnyEventAsync})
	must(f.t, err)
	begun = new(atomic.Int64)
	f.servers.Go(func() {
		defer unix.Close(theirs)
		if err := server.ServeGoroutines(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			begun.Add(1)
			n, err := strconv.Atoi(string(request))
			return make(rpc.Payload, n), err
		}, 0); err != nil {
			f.t.Error(err)
		}
	})
	return ours, server, begun
}

// ServeGoroutines began calls while its replies waited for the parent to read: as many
// as may run at once held theirs, whatever MaxBuffered was.
func TestServeGoroutinesBeginsNoCallWhileItsRepliesWait(t *testing.T) {
	f := newFixture(t)
	ours, server, begun := f.replySizes()
	const size = 8 << 20
	_, err := unix.Write(ours, []byte(frame(1, strconv.Itoa(size))))
	must(t, err)
	pollUntil(func() bool { return rpc.IsFull(server, false) })
	must(t, unix.SetNonblock(ours, true))
	small := frame(2, "10")
	sent := writeUntilStuck(t, ours, strings.Repeat(small, 50_000))
	if n := begun.Load(); n != 1 {
		t.Errorf("%d calls were begun", n)
	}
	must(t, unix.SetNonblock(ours, false))
	calls := (sent + len(small) - 1) / len(small)
	go func() {
		unix.Write(ours, []byte(small[sent-(calls-1)*len(small):]))
		unix.Shutdown(ours, unix.SHUT_WR)
	}()
	if got, want := countToEnd(ours), 8+size+calls*(8+10); got != want {
		t.Errorf("%d bytes of replies to %d calls, want %d", got, calls+1, want)
	}
}

// A held call of a few bytes kept alive all 64 kB that its request had been copied into with others, also when those
// had been cancelled.
func TestHeldCallsKeepNoMoreThanTheirRequests(t *testing.T) {
	f := newFixture(t)
	const held, large = 300, 65_000
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{MaxConcurrent: 1})
	must(t, err)
	var first rpc.Done
	f.servers.Go(func() {
		_, err := file.WriteString(clientHello + frame(1, ""))
		for id := uint32(2); id < 2+2*held && err == nil; id += 2 {
			_, err = file.WriteString(frame(id, "small") + frame(id+1, strings.Repeat("x", large)) + frame(cancelKind|(id+1), ""))
		}
		if err != nil {
			t.Error(err)
		}
	})
	answers := make(chan int, 1)
	f.servers.Go(func() {
		// The answers to the calls that were cancelled say that the others are held.
		const answer = len("\x00\x00\x00\x00\x00\x00\x00\x00")
		refused := errorReply(3, rpc.ErrCanceled, rpc.KindCanceled)
		readBytes(file, len(ourHello)+held*len(refused))
		before := int(inUse())
		f.Post(func() { first.Reply() })
		readBytes(file, answer+held*(answer+len("small")))
		answers <- before - int(inUse())
		unix.Shutdown(ours, unix.SHUT_WR)
	})
	must(t, server.ServeAsync(f.Loop, func(request rpc.Payload, done rpc.Done) {
		if len(request) > 0 {
			done.ReplyBytes(request)
			return
		}
		first = done
	}))
	if kept := <-answers; kept > held*large/10 {
		t.Errorf("%d calls of 5 bytes keep %d bytes", held, kept)
	}
}

// Under ServeAsync a function set after the cancel was called although it had been taken back.
func TestOnCancelThatIsTakenBackAfterTheCancelIsNotCalled(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	_, err := unix.Write(ours, []byte(clientHello+frame(1, "")+frame(cancelKind|1, "")))
	must(t, err)
	must(t, unix.Shutdown(ours, unix.SHUT_WR))
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	must(t, server.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		done.OnCancel(func(error) {
			done.OnCancel(func(error) { t.Error("called") })
			done.OnCancel(nil)
			f.AfterFunc(time.Millisecond, func() { done.Reply() }) // due behind it
		})
	}))
	must(t, unix.Close(ours))
}

// A child whose loop was stopped was told of its calls to the parent that this had closed its side.
func TestUpcallsOfAServerWhoseLoopIsStoppedEndWithThat(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	_, err := unix.Write(ours, []byte(helloTaking("1")+frame(1, "")))
	must(t, err)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	var ends []error
	tell := func(err error) { ends = append(ends, err) }
	stopped := server.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		done.OnCancel(tell)
		must(t, server.GoParent(func(_ rpc.Payload, err error) { tell(err) }, "ask"))
		f.Stop()
	})
	if len(ends) != 2 || stopped == nil {
		t.Fatalf("the server returned %v, its calls ended with %v", stopped, ends)
	}
	for _, err := range ends {
		if !isLost(err) || errors.Is(err, rpc.ErrShutdown) || !strings.Contains(err.Error(), "stopped") {
			t.Errorf("a call ended with %v", err)
		}
	}
	must(t, unix.Close(ours))
}

// The end of a child that had no call was told as that of a call that had been lost.
func TestErrorOfAnIdleChildSpeaksOfNoCall(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("sync"), child.Config{})
	var w watched
	c := f.client(proc, pipes("sync"), w.config(rpc.Config{}))
	f.works(c)
	must(t, proc.Kill())
	f.until(w.ended)
	if text := fmt.Sprint(w.err); !strings.HasPrefix(text, "rpc: child lost, and no call with it: child ") {
		t.Errorf("OnError was told %q", text)
	}
	if err := c.Go(nil, "echo"); err == nil || !strings.HasPrefix(err.Error(), "rpc: call lost before it was started: ") {
		t.Errorf("the call after that ended with %v", err)
	}
}

// What a Mux had refused, of a call without types, was said to be a handler's failure.
func TestTextOfARemoteErrorHasItsKind(t *testing.T) {
	for kind, want := range map[string]string{
		rpc.KindError:         "rpc: handler failed: why",
		"":                    "rpc: handler failed: why",
		rpc.KindPanic:         "rpc: handler panicked: why",
		rpc.KindDeadline:      "rpc: handler failed: why",
		rpc.KindUnknownMethod: "rpc: unknown method: why",
		"another":             "rpc: another: why",
	} {
		if got := (&rpc.RemoteError{Message: "why", Kind: kind}).Error(); got != want {
			t.Errorf("the error of kind %q reads %q, not %q", kind, got, want)
		}
	}
}

// A worker under ServeSync kept the memory of a large reply until the next call, which there may not be.
func TestSyncMuxDoesNotKeepALargeReply(t *testing.T) {
	large := rpc.NewMethod[string, string]("large", stringcodec.Codec{})
	mux := rpc.NewMux()
	large.Handle(mux, func(_ context.Context, size string) (string, error) {
		n, err := strconv.Atoi(size)
		return strings.Repeat("x", n), err
	})
	handler := mux.Sync()
	answer := func(size string) weak.Pointer[byte] {
		request := rpc.Strings("large", string(rpc.Strings(size)))
		reply, err := handler(t.Context(), request)
		must(t, err)
		return weak.Make(&reply[0])
	}
	kept := answer("100000")
	runtime.GC()
	if kept.Value() != nil {
		t.Error("a large reply is kept")
	}
	kept = answer("10")
	runtime.GC()
	if kept.Value() == nil {
		t.Error("a small reply is not kept for the next")
	}
	runtime.KeepAlive(handler)
}

// The Handler of Mux.Sync may be given to ServeGoroutines by mistake, and calls had each other's replies.
func TestSyncMuxIsNotForGoroutines(t *testing.T) {
	f := newFixture(t)
	mux := rpc.NewMux()
	stringMirror.Handle(mux, func(_ context.Context, s string) (string, error) { return s, nil })
	c := f.client(rpctest.Start(t, f.Loop, func(fds rpc.FDs) error { return rpc.ServeGoroutines(fds, mux.Sync(), 0) }), peer{}, rpc.Config{})
	var failure error
	must(t, stringMirror.Go(c, "mine", func(_ string, err error) { failure = err; c.Shutdown() }))
	must(t, f.Run(t.Context()))
	if failure == nil || !strings.Contains(failure.Error(), "Mux.Goroutines") {
		t.Errorf("the call ended with %v", failure)
	}
}

// A FanOut that began when its clients had ended, and the loop's Run had returned for want of anything else to do, waited for ever.
func TestFanOutOfClientsThatHaveEndedEnds(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.connect(pipes("sync"), w.config(rpc.Config{}))
	c.Shutdown()
	must(t, f.Run(t.Context()))
	if !w.ended() {
		t.Fatal("the client has not ended")
	}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	ended := make(chan error)
	go func() {
		fan := double.FanOut(ctx, []*rpc.Client{c, c}, new(source).jobs(-1), rpc.FanOutConfig{})
		for r := range fan.Results() {
			t.Errorf("a job has a result: %v", r.Err)
		}
		ended <- fan.Err()
	}()
	if err := <-ended; !errors.Is(err, rpc.ErrNoWorkers) || !isLost(err) {
		t.Errorf("Err is %v", err)
	}
}
