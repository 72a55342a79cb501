package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// The wire AnyEventSync: replies have no ids, and come in the order of the calls.

func TestCallTableTakesTheOldestCallAcrossTheWrap(t *testing.T) {
	table := rpc.NewCallTable(rpc.AnyEventSync, 1<<32-50)
	if table.TakeOldest() != nil {
		t.Error("an empty table has an oldest call")
	}
	var waiting []*result
	for i := range uint64(1000) {
		r := &result{}
		waiting = append(waiting, r)
		table.Add(r, i)
		if i%3 == 0 || len(waiting) > 100 {
			if table.TakeOldest() != rpc.Completion(waiting[0]) {
				t.Fatalf("after %d calls another one than the oldest was taken", i+1)
			}
			waiting = waiting[1:]
		}
	}
	if table.Len() != len(waiting) {
		t.Errorf("it counts %d calls, not %d", table.Len(), len(waiting))
	}
}

func TestSyncCallsAreDecodedAtEverySplit(t *testing.T) {
	input := []byte(syncCall("") + syncCall("a") + syncCall(strings.Repeat("b", 300)) + syncCall("") + "\x00\x00\x00\x09rest")
	want := []rpc.Frame{{}, {Payload: "a"}, {Payload: strings.Repeat("b", 300)}, {}}
	for i := range len(input) + 1 {
		for j := i; j <= len(input); j++ {
			frames, pending, err := rpc.DecodeSyncCalls(300, input[:i], input[i:j], input[j:])
			if err != nil || pending != 8 || !slices.Equal(frames, want) {
				t.Fatalf("split at %d and %d: %d frames, %d bytes pending, %v", i, j, len(frames), pending, err)
			}
		}
	}
	if _, _, err := rpc.DecodeSyncCalls(299, input); err == nil {
		t.Error("a frame longer than the limit is decoded")
	}
}

func TestServersAnswerInOrderOnTheSyncWire(t *testing.T) {
	for _, server := range []string{"async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			p := pipes(server)
			p.wire = rpc.AnyEventSync
			c := f.connect(p, rpc.Config{})
			var order []string
			note := func(reply rpc.Payload, err error) {
				must(t, err)
				values, _ := reply.Strings()
				order = append(order, values...)
			}
			must(t, c.Go(note, "hold", "first"))
			must(t, c.Go(note, "echo", "second"))
			must(t, c.Go(note, "hold", "third"))
			must(t, c.Go(note, "release"))
			must(t, c.Go(note, "echo", "fifth"))
			f.until(func() bool { return c.InFlight() == 0 })
			if got := strings.Join(order, ", "); got != "first, second, third, released, fifth" {
				t.Errorf("the order is %s", got)
			}
		})
	}
}

func TestSyncWireHoldsBackAsManyRepliesAsGoroutinesMayRun(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	in := fileOf(ours)
	defer in.Close()
	const limit, calls = 4, 100
	var others atomic.Int32 // that have been begun
	full := make(chan struct{})
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Wire: rpc.AnyEventSync})
	must(t, err)
	replies := make(chan string, 1)
	go func() {
		for i := range calls {
			in.WriteString(syncCall(fmt.Sprint(i)))
		}
		syscall.Shutdown(ours, syscall.SHUT_WR)
		replies <- readToEnd(in)
	}()
	var begun []int32 // when the first of each four calls ended
	err = server.ServeGoroutines(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		if i, _ := strconv.Atoi(string(request)); i%limit == 0 {
			<-full
			begun = append(begun, others.Swap(0))
		} else if others.Add(1) == limit-1 {
			full <- struct{}{}
		}
		return request, nil
	}, limit)
	must(t, err)
	syscall.Close(theirs)
	if !slices.Equal(begun, slices.Repeat([]int32{limit - 1}, calls/limit)) {
		t.Errorf("%d calls were begun while the reply to the one before them was due, with a limit of %d", begun, limit)
	}
	var want strings.Builder
	for i := range calls {
		want.WriteString(frame(1, fmt.Sprint(i)))
	}
	if got := <-replies; got != want.String() {
		t.Errorf("the replies are %q", got)
	}
}

// What follows a call that failed must not be taken for its reply.
func TestCallsBehindAFailureGetNoReplyOnTheSyncWire(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	in := fileOf(ours)
	defer in.Close()
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{Wire: rpc.AnyEventSync})
	must(t, err)
	_, err = in.WriteString(syncCall("first") + syncCall("bad") + syncCall("behind") + syncCall("last"))
	must(t, err)
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	steps := map[string]chan struct{}{}
	for _, name := range []string{"first", "bad", "behind", "last"} {
		steps[name] = make(chan struct{})
	}
	var begun atomic.Int32
	allBegun := make(chan struct{})
	after := map[string]string{"bad": "behind", "first": "last", "last": "bad"} // behind, bad, last, first
	serveErr := server.ServeGoroutines(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		name := string(request)
		if begun.Add(1) == 4 {
			close(allBegun) // a failure ends the reading
		}
		<-allBegun
		if before := after[name]; before != "" {
			<-steps[before]
		}
		defer close(steps[name])
		if name == "bad" {
			return nil, fmt.Errorf("out of cheese")
		}
		return request, nil
	}, 0)
	syscall.Close(theirs)
	if serveErr == nil || serveErr.Error() != "out of cheese" {
		t.Errorf("the server returned %v", serveErr)
	}
	if got := readToEnd(in); got != frame(1, "first") {
		t.Errorf("the replies are %q", got)
	}
}

// A reply that waits for its turn is refused as soon as one whose turn it is.
func TestReplyBeforeItsTurnThatIsTooLargeIsRefused(t *testing.T) {
	f := newFixture(t)
	var errs []error
	out, err := f.hear(rpctest.Config{}, []byte(syncCall("a")+syncCall("b")+syncCall("c")), func(fds rpc.FDs) error {
		server, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: rpc.AnyEventSync, MaxFrame: 10})
		if err != nil {
			return err
		}
		return serveOnALoop(server, func(request rpc.Payload, done rpc.Done) {
			if request[0] != 'a' {
				errs = append(errs, done.ReplyBytes(make([]byte, 10+len(errs))))
			}
		})
	})
	if !errors.Is(err, rpc.ErrTooLarge) || out != "" {
		t.Errorf("the server returned %v; the replies are %q", err, out)
	}
	if !slices.Equal(errs, []error{nil, rpc.ErrTooLarge}) {
		t.Errorf("replies of 10 and 11 bytes, with a limit of 10, got %v", errs)
	}
}

func TestReplyThatNobodyWaitsForPutsASyncChildDown(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{}, "read:16", write(frame(1, "\x01a")+frame(1, "\x01b")+frame(1, "\x01c")), wait)
	var w watched
	c := f.client(proc, peer{wire: rpc.AnyEventSync}, w.config(rpc.Config{}))
	first, second := f.begin(c, "one"), f.begin(c, "two")
	f.until(w.ended)
	if first.err != nil || second.err != nil || !slices.Equal(append(first.reply, second.reply...), []string{"a", "b"}) {
		t.Errorf("the calls ended with %q, %v and %q, %v", first.reply, first.err, second.reply, second.err)
	}
	if w.failed != 1 || !strings.Contains(w.err.Error(), "reply to call 1, which is not in flight") {
		t.Errorf("OnError was called %d times, with %v", w.failed, w.err)
	}
}

// An abandoned call keeps its place: its reply must not become the next call's.
func TestAbandonedCallKeepsItsPlaceOnTheSyncWire(t *testing.T) {
	f := newFixture(t)
	c := f.connect(peer{transport: "pipes", server: "goroutines", wire: rpc.AnyEventSync}, rpc.Config{})
	f.background()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, "hold", "late")
		ended <- err
	}()
	for inFlight := 0; inFlight == 0; {
		must(t, f.Do(t.Context(), func() { inFlight = c.InFlight() }))
	}
	cancel()
	if err := <-ended; !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("the abandoned call ended with %v", err)
	}
	for _, args := range [][]string{{"release"}, {"echo", "mine"}} {
		reply, err := c.Call(t.Context(), args...)
		must(t, err)
		want := map[string]string{"release": "released", "echo": "mine"}[args[0]]
		if values, _ := reply.Strings(); !slices.Equal(values, []string{want}) {
			t.Errorf("%s is answered with %q", args[0], values)
		}
	}
}

func TestCancelledCallKeepsItsPlaceOnTheSyncWire(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		p.wire = rpc.AnyEventSync
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		late, id := f.beginWith(c, rpc.CallOptions{}, "echo", "late")
		mine := f.begin(c, "echo", "mine")
		if !c.Cancel(id) {
			t.Fatal("there was nothing to cancel")
		}
		f.until(func() bool { return c.InFlight() == 0 })
		if late.ends != 1 || !errors.Is(late.err, rpc.ErrCanceled) {
			t.Errorf("the cancelled call ended %d times, with %v", late.ends, late.err)
		}
		if mine.err != nil || !slices.Equal(mine.reply, []string{"mine"}) {
			t.Errorf("the other call got %q, %v", mine.reply, mine.err)
		}
	})
}

// While the first call has no answer, the replies to those behind it wait: as many as
// may be in progress, or as many as fit in MaxBuffered.
func TestSyncWireHoldsBackAsManyRepliesAsAsyncServersMayHold(t *testing.T) {
	for name, config := range map[string]rpc.ServerConfig{
		"calls": {MaxConcurrent: 4},
		"bytes": {MaxBuffered: 3 * 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			const calls = 20
			config.Wire = rpc.AnyEventSync
			var input, want strings.Builder
			for i := range calls {
				request := string(rpc.Strings(string(rune('a' + i))))
				input.WriteString(syncCall(request))
				want.WriteString(frame(1, request))
			}
			var begun []int // when the first of each four calls ended
			out, err := f.hear(rpctest.Config{}, []byte(input.String()), func(fds rpc.FDs) error {
				server, err := rpc.NewServer(fds, config)
				if err != nil {
					return err
				}
				loop, err := reactor.New(reactor.Config{})
				if err != nil {
					return err
				}
				defer closeLoop(loop)
				var first rpc.Done
				var its rpc.Payload
				count := 0
				return server.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
					if count++; count%4 == 1 {
						first, its = done, slices.Clone(request)
						return
					}
					done.ReplyBytes(request)
					if count%4 == 0 { // the last that may begin: the others are held, or would be begun before this
						loop.AfterFunc(0, func() {
							begun = append(begun, count)
							first.ReplyBytes(its)
						})
					}
				})
			})
			must(t, err)
			if !slices.Equal(begun, []int{4, 8, 12, 16, 20}) {
				t.Errorf("%d calls had begun when the first of four ended", begun)
			}
			if out != want.String() {
				t.Errorf("the replies are %q", out)
			}
		})
	}
}
