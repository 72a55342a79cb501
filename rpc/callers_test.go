package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

func TestCallFromManyGoroutines(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{MaxInFlight: 10})
		f.background()
		var callers sync.WaitGroup
		for g := range 100 {
			callers.Go(func() {
				for i := range 5 {
					want := fmt.Sprint(g, " ", i)
					reply, err := c.Call(t.Context(), "echo", want)
					if err != nil {
						t.Error(err)
						return
					}
					if got, _ := reply.Strings(); len(got) != 1 || got[0] != want {
						t.Errorf("%q came back as %q", want, got)
					}
				}
			})
		}
		callers.Wait()
	})
}

// What goroutines ask for while the loop is away is one post for it, and one wake-up.
func TestCallsOfManyGoroutinesAreOnePost(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.works(c)
	before := f.Stats()
	var callers sync.WaitGroup
	const calls = 100
	for range calls {
		callers.Go(func() {
			if _, err := c.Call(t.Context(), "echo"); err != nil {
				t.Error(err)
			}
		})
	}
	pollUntil(func() bool { return rpc.Submitted(c) == calls })
	f.until(func() bool { return rpc.Submitted(c) == 0 && c.InFlight() == 0 })
	callers.Wait()
	after := f.Stats()
	if posts, wakes := after.Posts-before.Posts, after.Wakes-before.Wakes; posts != 1 || wakes > 1 {
		t.Errorf("%d calls were %d posts, and %d wake-ups", calls, posts, wakes)
	}
}

// A hundred goroutines call with contexts that end at random moments. Each call
// returns its own reply or ctx's error, and in the end nothing is in flight.
func TestCallsWithContextsThatEndAtRandom(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{MaxInFlight: 20})
		f.background()
		var callers sync.WaitGroup
		var replied, cancelled atomic.Int64
		for g := range 100 {
			callers.Go(func() {
				for i := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(2000))*time.Microsecond)
					want := fmt.Sprint(g, " ", i)
					reply, err := c.Call(ctx, "echo", want)
					cancel()
					switch {
					case err == nil:
						replied.Add(1)
						if got, _ := reply.Strings(); len(got) != 1 || got[0] != want {
							t.Errorf("%q came back as %q", want, got)
						}
					case errors.Is(err, context.DeadlineExceeded):
						cancelled.Add(1)
					default:
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		t.Logf("%d replies, %d given up", replied.Load(), cancelled.Load())
		must(t, c.ShutdownWait(t.Context())) // every call has ended
	})
}

func TestAbandonedCallCountsInFlightAndItsLateReplyIsDropped(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 2})
	f.background()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Call(ctx, "hold", "late")
		ended <- err
	}()
	inFlight := func() (n int) {
		must(t, f.Do(t.Context(), func() { n = c.InFlight() }))
		return n
	}
	for inFlight() == 0 {
	}
	cancel()
	if err := <-ended; !errors.Is(err, rpc.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Fatalf("Call returned %v", err)
	}
	if n := inFlight(); n != 1 {
		t.Errorf("%d calls are in flight after the call was abandoned", n)
	}
	_, err := c.Call(t.Context(), "echo") // there is room for one
	must(t, err)
	_, err = c.Call(t.Context(), "release") // the late reply comes before this one's
	must(t, err)
	if n := inFlight(); n != 0 {
		t.Errorf("%d calls are in flight after the late reply", n)
	}
}

// A call that is given up while it waits for room is not made at all.
func TestCallAbandonedWhileWaitingIsNeverMade(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, w.config(rpc.Config{MaxInFlight: 1}))
	f.works(c)
	stop(t, proc)
	first := f.begin(c, "echo")
	ctx, cancel := context.WithCancel(t.Context())
	abandoned := false
	go func() {
		c.Call(ctx, "event", "must not happen")
		f.Post(func() { abandoned = true })
	}()
	for !rpc.AnyWaiting(c) {
		must(t, f.Poll(time.Millisecond))
	}
	cancel()
	f.until(func() bool { return abandoned })
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(first.ended)
	c.Shutdown()
	f.until(w.ended)
	if len(w.events) > 0 || w.destroyed != 1 {
		t.Errorf("the call was made: %q", w.events)
	}
}

func TestCallOnADeadChildReturnsItsEnd(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, rpc.Config{})
	must(t, proc.Kill())
	f.background()
	_, err := c.Call(t.Context(), "echo")
	if !isLost(err) {
		t.Errorf("the first Call returned %v", err)
	}
	for !isLost(err) || err.(*rpc.LostError).Started {
		_, err = c.Call(t.Context(), "echo")
	}
	var exit *child.ExitError
	if !errors.As(err, &exit) || exit.State.Signal != 9 {
		t.Errorf("a later Call returned %v", err)
	}
}

func TestCallAfterCloseReturnsAtOnce(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	must(t, f.Close())
	if _, err := c.Call(context.Background(), "echo"); !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("Call returned %v", err)
	}
}

func TestCloseEndsCallsOfGoroutines(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 5})
	errs := make(chan error)
	for range 20 {
		go func() {
			_, err := c.Call(context.Background(), "hold")
			errs <- err
		}()
	}
	f.until(func() bool { return c.InFlight() == 5 })
	must(t, f.Close())
	for range 20 {
		if err := <-errs; !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("Call returned %v", err)
		}
	}
}

func TestReplyOfCallIsTheCallersOwn(t *testing.T) {
	f := newFixture(t)
	p := peer{transport: "pipes", server: "sync", mirror: true}
	c := f.connect(p, rpc.Config{})
	f.background()
	first, err := c.CallBytes(t.Context(), []byte("first"))
	must(t, err)
	for range 10 {
		_, err := c.CallBytes(t.Context(), []byte("other"))
		must(t, err)
	}
	if string(first) != "first" {
		t.Errorf("the first reply has become %q", first)
	}
}

// A call that fails has no reply, whatever that of the call before was.
func TestCallThatFailsHasNoReply(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.background()
	if reply, err := c.Call(t.Context(), "echo", "yes"); err != nil || string(reply) != "\x03yes" {
		t.Errorf("Call returned %q, %v", reply, err)
	}
	if reply, err := c.Call(t.Context(), "fail", "no"); err == nil || reply != nil {
		t.Errorf("Call returned %q, %v", reply, err)
	}
}

// A call whose ctx has ended does not reach the loop.
func TestCallUnderAnEndedContextIsNotMade(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Call(ctx); !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("Call returned %v", err)
	}
	if n := rpc.Submitted(c); n > 0 {
		t.Error("the loop is told of the call")
	}
}

// A call without a deadline has none, whatever that of the call before was.
func TestCallHasNoOthersDeadline(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	_, err := file.WriteString(ourHello)
	must(t, err)
	f.hears(file, len(clientHello))
	f.until(func() bool { return rpc.Greeted(c) })
	bounded, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	for id, ctx := range []context.Context{bounded, context.Background()} {
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := c.Call(ctx); err != nil {
				t.Error(err)
			}
		})
		f.until(func() bool { return c.InFlight() == 1 })
		must(t, f.Poll(0))
		call := readOneFrame(t, file, 8)
		if has := strings.Contains(call, "deadline"); has != (ctx == bounded) {
			t.Errorf("call %d is %q", id+1, call)
		}
		_, err := file.WriteString(frame(uint32(id+1), ""))
		must(t, err)
		f.until(func() bool { return c.InFlight() == 0 })
		calls.Wait()
	}
}

// A call that waits for room is not made when the client is shut down, with a deadline or without.
func TestCallThatWaitsEndsWithTheShutdown(t *testing.T) {
	bounded, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	for _, ctx := range []context.Context{t.Context(), bounded} {
		f := newFixture(t)
		transport, _ := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
		f.begin(c)
		ended := make(chan error, 1)
		go func() {
			_, err := c.Call(ctx)
			ended <- err
		}()
		f.until(func() bool { return rpc.AnyWaiting(c) })
		c.Shutdown()
		if n := c.InFlight(); n != 1 {
			t.Errorf("%d calls are in flight", n)
		}
		if err := <-ended; err != rpc.ErrShutdown {
			t.Errorf("the call ended with %v", err)
		}
	}
}
