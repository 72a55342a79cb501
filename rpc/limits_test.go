package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// A refused call leaves nothing behind: the next one is read as usual.
func TestCallLongerThanMaxFrameIsRefused(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{MaxFrame: 1000})
		called := func(rpc.Payload, error) { t.Error("called back") }
		if err := c.GoBytes(called, make([]byte, 1001)); err != rpc.ErrTooLarge {
			t.Errorf("GoBytes: %v", err)
		}
		if err := c.Go(called, strings.Repeat("x", 2000)); err != rpc.ErrTooLarge {
			t.Errorf("Go: %v", err)
		}
		f.works(c)
		if c.InFlight() != 0 {
			t.Errorf("%d calls are in flight", c.InFlight())
		}
	})
}

func TestCallOfExactlyMaxFrameIsMade(t *testing.T) {
	f := newFixture(t)
	p := peer{transport: "pipes", server: "sync", mirror: true, maxFrame: 1000}
	c := f.connect(p, rpc.Config{MaxFrame: 1000})
	replied := -1
	must(t, c.GoBytes(func(reply rpc.Payload, err error) { must(t, err); replied = len(reply) }, make([]byte, 1000)))
	f.until(func() bool { return replied >= 0 })
	if replied != 1000 {
		t.Errorf("%d bytes came back", replied)
	}
}

func TestCallFromAGoroutineLongerThanMaxFrameIsRefused(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{MaxFrame: 1000})
	f.background()
	if _, err := c.CallBytes(t.Context(), make([]byte, 1001)); err != rpc.ErrTooLarge {
		t.Errorf("CallBytes: %v", err)
	}
	_, err := c.Call(t.Context(), "echo")
	must(t, err)
}

func TestReplyLongerThanMaxFrameIsARemoteError(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.maxFrame = 1000
		c := f.connect(p, rpc.Config{})
		_, err := f.ask(c, "big", "1000")
		var remote *rpc.RemoteError
		if !errors.As(err, &remote) || remote.Message != rpc.ErrTooLarge.Error() {
			t.Errorf("the call ended with %v", err)
		}
		f.works(c)
	})
}

func TestReplyLongerThanTheClientsMaxFramePutsTheChildDown(t *testing.T) {
	f := newFixture(t)
	_, err := f.ask(f.connect(pipes("sync"), rpc.Config{MaxFrame: 1000}), "big", "1000")
	var violation *rpc.ProtocolError
	if !errors.As(err, &violation) || !strings.Contains(err.Error(), "frame of 1002 bytes, more than the limit of 1000") {
		t.Errorf("the call ended with %v", err)
	}
}

func TestEventLongerThanMaxFrameIsRefused(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.maxFrame = 1000
		c := f.connect(p, rpc.Config{})
		_, err := f.ask(c, "big event", "1000")
		var remote *rpc.RemoteError // the handler returns what Event does
		if !errors.As(err, &remote) || remote.Message != rpc.ErrTooLarge.Error() {
			t.Errorf("the call ended with %v", err)
		}
		f.works(c)
	})
}

func TestCallsBeyondMaxInFlightAreRefused(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 3})
	var calls []*result
	for range 3 {
		calls = append(calls, f.begin(c, "hold"))
	}
	full := func() bool { return c.Go(func(rpc.Payload, error) { t.Error("called back") }, "echo") == rpc.ErrFull }
	if !full() {
		t.Error("a fourth call was accepted")
	}
	must(t, f.Poll(0))
	if !full() {
		t.Error("a fourth call was accepted once the others had been written")
	}
	proceed := 0
	must(t, c.WaitReady(func() { proceed++ }))
	for range 10 {
		must(t, f.Poll(0))
	}
	if proceed > 0 || calls[0].ended() {
		t.Error("WaitReady's function was called while the client was full")
	}
}

func TestWaitReadyCallsEachOnceInTheirOrder(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{MaxInFlight: 1})
	var order []int
	f.begin(c, "echo")
	for i := range 20 {
		must(t, c.WaitReady(func() {
			order = append(order, i)
			f.begin(c, "echo") // accepted: the room is this function's
		}))
	}
	f.until(func() bool { return len(order) == 20 && c.InFlight() == 0 })
	if !slices.IsSorted(order) {
		t.Errorf("the order is %v", order)
	}
}

func TestWaitReadyIsCalledAtOnceWithRoom(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	ready, inside := false, true
	must(t, c.WaitReady(func() {
		ready = true
		if inside {
			t.Error("called inside WaitReady")
		}
	}))
	inside = false
	f.until(func() bool { return ready })
}

func TestWaitReadyIsToldOfTheEnd(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("async"), child.Config{})
	c := f.client(proc, peer{}, rpc.Config{MaxInFlight: 1})
	f.begin(c, "hold")
	var err error
	must(t, c.WaitReady(func() { err = c.Go(nil, "echo") }))
	must(t, f.Poll(0))
	must(t, proc.Kill())
	f.until(func() bool { return err != nil })
	if err := c.WaitReady(func() { t.Error("called back") }); err == nil {
		t.Error("WaitReady was accepted after the end")
	}
}

func TestCallsBeyondMaxBufferedAreRefused(t *testing.T) {
	f := newFixture(t)
	p := peer{transport: "pipes", server: "sync", mirror: true}
	c := f.connect(p, rpc.Config{MaxBuffered: 10_000})
	sent, refused := 0, 0
	for refused == 0 {
		switch err := c.GoBytes(func(rpc.Payload, error) {}, make([]byte, 1000)); err {
		case nil:
			sent++
		case rpc.ErrFull:
			refused++
		default:
			t.Fatal(err)
		}
	}
	if sent > 9 {
		t.Errorf("%d calls of a kilobyte were accepted", sent)
	}
	f.until(func() bool { return c.InFlight() == 0 })
	must(t, c.GoBytes(func(rpc.Payload, error) {}, make([]byte, 1000)))
}

// Waiting for room would be for ever.
func TestCallLongerThanMaxBufferedIsTooLarge(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{MaxBuffered: 10_000})
	f.works(c)
	if err := c.GoBytes(nil, make([]byte, 10_000)); err != rpc.ErrTooLarge {
		t.Errorf("GoBytes: %v", err)
	}
	f.background()
	if _, err := c.CallBytes(t.Context(), make([]byte, 10_000)); err != rpc.ErrTooLarge {
		t.Errorf("CallBytes: %v", err)
	}
}

func TestServeGoroutinesRunsNoMoreThanItsLimit(t *testing.T) {
	f := newFixture(t)
	p := peer{transport: "pipes", server: "goroutines", limit: 5}
	c := f.connect(p, rpc.Config{})
	for range 4 {
		f.begin(c, "hold")
	}
	for range 100 {
		f.works(c) // in the one place that is left
	}
	for most := ""; most != "4"; { // all are at it
		reply, err := f.ask(c, "most")
		must(t, err)
		most = reply[0]
	}
	f.begin(c, "release")
	f.until(func() bool { return c.InFlight() == 0 })
	for range 50 {
		f.begin(c, "hold")
	}
	f.until(func() bool { return c.InFlight() == 0 })
	most, err := f.ask(c, "most")
	must(t, err)
	if n, _ := strconv.Atoi(most[0]); n < 4 || n > 5 {
		t.Errorf("%s handlers ran at once", most[0])
	}
}

// A server whose replies are not read stops reading calls, so that the parent's
// pipe fills; it goes on where it stopped.
func TestServersPushBackWhenTheirRepliesAreNotRead(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines", "sync on AnyEvent's sync wire", "goroutines on AnyEvent's sync wire"} {
		t.Run(server, func(t *testing.T) {
			server, wire := server, rpc.AnyEventAsync
			if name, ok := strings.CutSuffix(server, " on AnyEvent's sync wire"); ok {
				server, wire = name, rpc.AnyEventSync
			}
			f := newFixture(t)
			ours, theirs := socketpair(t)
			defer unix.Close(ours)
			f.servers.Go(func() {
				p := peer{server: server, wire: wire, limit: 4}
				if err := p.serve(sameFD(theirs)); err != nil {
					t.Error(err)
				}
				if server != "async" {
					unix.Close(theirs)
				}
			})
			must(t, unix.SetNonblock(ours, true))
			const reply = 64 << 10
			request := frame(1, string(rpc.Strings("big", fmt.Sprint(reply), strings.Repeat(" ", 1000))))
			if wire == rpc.AnyEventSync {
				request = request[4:]
			}
			requests := strings.Repeat(request, 10_000)
			sent := writeUntilStuck(t, ours, requests)
			if sent == len(requests) {
				t.Fatal("the server has read calls whose replies are more than half a gigabyte")
			}
			must(t, unix.SetNonblock(ours, false))
			calls := (sent + len(request) - 1) / len(request)
			go func() {
				unix.Write(ours, []byte(requests[sent:calls*len(request)]))
				unix.Shutdown(ours, unix.SHUT_WR)
			}()
			got := countToEnd(ours)
			if want := calls * (8 + 3 + reply); got != want {
				t.Errorf("%d bytes of replies to %d calls, want %d", got, calls, want)
			}
		})
	}
}

// An async server that may begin no call reads so many as its backlog holds, and answers all in the end.
func TestServeAsyncReadsNoMoreCallsThanItsBacklogHolds(t *testing.T) {
	testBacklogOfServeAsync(t, rpc.Evfork, hello, func(rpc.Done) {})
}

// A handler that had asked for the parts of a plain call, of which there are none, was taken for one that waits for them:
// the server read on, and asked the parent to hold calls back, with a frame that it need not know, and that AnyEvent's wires
// do not have.
func TestServeAsyncReadsNoFurtherForThePartsOfAPlainCall(t *testing.T) {
	askForParts := func(done rpc.Done) { done.OnParts(nil, nil) }
	t.Run("Evfork", func(t *testing.T) { testBacklogOfServeAsync(t, rpc.Evfork, hello, askForParts) })
	t.Run("AnyEventAsync", func(t *testing.T) { testBacklogOfServeAsync(t, rpc.AnyEventAsync, "", askForParts) })
}

// testBacklogOfServeAsync has the first of many calls answered when no more are read.
func testBacklogOfServeAsync(t *testing.T, wire rpc.Wire, hello string, begin func(rpc.Done)) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	defer unix.Close(ours)
	must(t, unix.SetNonblock(ours, true))
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Wire: wire, MaxConcurrent: 1})
	must(t, err)
	greeting := ""
	if wire == rpc.Evfork {
		greeting = ourHello
	}
	const most = 8 << 20
	call := frame(1, strings.Repeat("x", 1000))
	var first *rpc.Done
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sent := writeUntilStuck(t, ours, hello+strings.Repeat(call, most/len(call)))
		if sent > most/2 {
			t.Errorf("%d bytes of calls were taken", sent)
		}
		must(t, unix.SetNonblock(ours, false))
		must(t, f.Post(func() { must(t, first.Reply()) }))
		calls := (sent - len(hello) + len(call) - 1) / len(call)
		go func() {
			unix.Write(ours, []byte(call[sent-len(hello)-(calls-1)*len(call):]))
			unix.Shutdown(ours, unix.SHUT_WR)
		}()
		if got, want := countToEnd(ours), len(greeting)+calls*len(frame(1, "")); got != want {
			t.Errorf("%d bytes of replies instead of %d", got, want)
		}
	}()
	must(t, server.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		if first == nil {
			first = &done
			begin(done)
			return
		}
		must(t, done.Reply())
	}))
	<-ended
}

// writeUntilStuck writes data until the other side has read nothing for a while
// and returns how much that was.
func writeUntilStuck(t *testing.T, fd int, data string) (written int) {
	t.Helper()
	for written < len(data) {
		n, err := unix.Write(fd, []byte(data[written:min(len(data), written+4096)]))
		switch {
		case err == nil:
			written += n
			continue
		case err != unix.EAGAIN:
			t.Fatal(err)
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(fds, 200); n == 0 {
			return written
		}
	}
	return written
}

// countToEnd reads to the EOF and returns how much that was.
func countToEnd(fd int) (total int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return total
		}
		total += n
	}
}

func TestWaitReadyMeansRoomInASmallBuffer(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{PipeSize: 4096}, write(hello), readAll)
	c := f.client(proc, peer{}, rpc.Config{MaxBuffered: 50_000})
	payload := strings.Repeat("x", 1000)
	full := 0
	var fill func()
	fill = func() {
		for range 200 {
			if c.Go(func(rpc.Payload, error) {}, payload) == rpc.ErrFull {
				full++
				must(t, c.WaitReady(func() {
					if err := c.Go(func(rpc.Payload, error) {}, payload); err != nil {
						t.Errorf("right after WaitReady: %v", err)
					}
					if full < 20 {
						fill()
					}
				}))
				return
			}
		}
	}
	fill()
	f.until(func() bool { return full == 20 && f.Stats().Buffered == 0 })
	must(t, proc.Kill())
}

// The names of sentinels are the last that an error reply goes without.
func TestErrorReplyIsCutToItsSentinelsAndThenToNothing(t *testing.T) {
	sentinels := rpc.Sentinels{"end of file": io.EOF}
	least := rpc.AppendStrings(rpc.Strings("", rpc.KindError, ""), "end of file")
	for limit := len(least) - 1; limit <= len(least)+len(io.EOF.Error()); limit++ {
		payload := rpc.EncodeRemoteErrorWith(io.EOF, sentinels, limit)
		got := rpc.DecodeRemoteErrorWith(payload, sentinels)
		message := io.EOF.Error()[:max(limit-len(least), 0)]
		if len(payload) > limit || got.Message != message || got.Kind != rpc.KindError || errors.Is(got, io.EOF) != (limit >= len(least)) {
			t.Errorf("in %d bytes: %q, which is %+v", limit, payload, got)
		}
	}
}
