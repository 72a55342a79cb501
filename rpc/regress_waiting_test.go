package rpc_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// endsAtOnce is a ctx that ends as soon as somebody waits for that.
type endsAtOnce struct {
	context.Context
	done chan struct{}
}

func newEndsAtOnce(ctx context.Context) endsAtOnce {
	c := endsAtOnce{ctx, make(chan struct{})}
	close(c.done)
	return c
}

func (c endsAtOnce) Done() <-chan struct{} { return c.done }

// Calls that were given up while they waited for room stayed until there was some, with their requests.
func TestCallsThatAreGivenUpDoNotGoOnWaiting(t *testing.T) {
	for name, try := range map[string]func(*testing.T, *rpc.Client) error{
		"calls": func(t *testing.T, c *rpc.Client) error {
			_, err := c.Call(newEndsAtOnce(t.Context()), "echo")
			return err
		},
		"streams": func(t *testing.T, c *rpc.Client) error {
			ctx, cancel := context.WithCancel(t.Context())
			s := c.CallStream(ctx, rpc.StreamOptions{}, nil)
			cancel()
			_, err := s.Reply()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { testGivenUpWaiting(t, try) })
	}
}

func testGivenUpWaiting(t *testing.T, try func(*testing.T, *rpc.Client) error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
	first := f.begin(c, "one")
	called, streamed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), "two")
		called <- err
	}()
	go func() {
		_, err := c.CallStream(context.Background(), rpc.StreamOptions{}, nil).Reply()
		streamed <- err
	}()
	f.until(func() bool { return rpc.Waiting(c) == 2 })
	const tries = 500
	for range tries {
		if err := try(t, c); !errors.Is(err, rpc.ErrCanceled) {
			t.Fatalf("the call ended with %v", err)
		}
		must(t, f.Poll(0))
	}
	if n := rpc.Waiting(c); n > tries/2 {
		t.Errorf("%d calls wait", n)
	}
	_, err := file.WriteString(hello + frame(1, ""))
	must(t, err)
	f.until(func() bool { return first.ended() && c.InFlight() == 1 })
	_, err = file.WriteString(frame(2, ""))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
	must(t, <-called)
	if err := <-streamed; err != rpc.ErrNoStreams {
		t.Errorf("the stream that went on waiting ended with %v", err)
	}
	// What was kept for those that were given up serves others now.
	const others = 100
	ended := 0
	for range others {
		go func() {
			_, err := c.Call(context.Background(), "another")
			f.Post(func() { must(t, err); ended++ })
		}()
	}
	for i := range others {
		f.until(func() bool { return c.InFlight() == 1 })
		_, err = file.WriteString(frame(uint32(3+i), ""))
		must(t, err)
		f.until(func() bool { return ended == i+1 })
	}
}

// A streamed call of which the child had not been told left room when it was cancelled, and who waited for that
// was not told before something came from the child.
func TestCancelOfACallThatWaitsForTheHelloLeavesRoom(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
	ways := map[string]func() func(){
		"Cancel": func() func() {
			s, err := c.GoStream(nil, rpc.StreamOptions{}, nil)
			must(t, err)
			return func() { s.Cancel() }
		},
		"deadline": func() func() {
			_, err := c.GoStream(nil, rpc.StreamOptions{Deadline: time.Now().Add(time.Millisecond)}, nil)
			must(t, err)
			return func() {}
		},
		"goroutine": func() func() {
			s := c.CallStream(t.Context(), rpc.StreamOptions{}, nil)
			f.until(func() bool { return c.InFlight() == 1 })
			return s.Cancel
		},
	}
	for way, begin := range ways {
		cancel := begin()
		ready := false
		must(t, c.WaitReady(func() { ready = true }))
		f.until(func() bool { return ready || rpc.Waiting(c) == 1 })
		cancel()
		t.Log(way)
		f.until(func() bool { return ready })
	}
}

// Requests of streamed calls that waited for the hello did not count: the client held any number of them.
func TestStreamedCallsThatWaitForTheHelloAreBuffered(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	const most, size = 1000, 300
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: most})
	calls := 0
	begin := func() error {
		_, err := c.GoStream(nil, rpc.StreamOptions{}, make([]byte, size))
		if err == nil {
			calls++
		}
		return err
	}
	for begin() == nil {
	}
	if calls != most/size {
		t.Errorf("%d calls of %d bytes, where %d fit", calls, size, most)
	}
	ready := false
	must(t, c.WaitReady(func() { ready = true }))
	f.until(func() bool { return rpc.Waiting(c) == 1 })
	if ready {
		t.Error("ready before the hello")
	}
	say(f, file, frame(helloWord, string(rpc.AppendStrings(rpc.Payload(helloPayload), "features", "credits metadata cancel", "window", "1000"))))
	f.until(func() bool { return ready })
	must(t, begin())
	if n := c.InFlight(); n != calls {
		t.Errorf("%d calls in flight instead of %d", n, calls)
	}
}

// One streamed call may have any request that fits, and it leaves its room if it is cancelled before the hello.
func TestStreamedCallLeavesItsRoomIfItIsCanceledBeforeTheHello(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	for range 3 {
		s, err := c.GoStream(nil, rpc.StreamOptions{}, make([]byte, 900))
		must(t, err)
		if _, err := c.GoStream(nil, rpc.StreamOptions{}, make([]byte, 900)); err != rpc.ErrFull {
			t.Errorf("a second one: %v", err)
		}
		ready := false
		must(t, c.WaitReady(func() { ready = true }))
		f.until(func() bool { return ready || rpc.Waiting(c) == 1 })
		s.Cancel()
		f.until(func() bool { return ready })
	}
}

// If the callback of such a call, the last, panicked, a loop that survived that never ended the child.
func TestShutdownEndsAlthoughTheLastCallbackPanics(t *testing.T) {
	f, panics := newSurvivor(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{OnCall: func(rpc.Payload, rpc.Done) {}}))
	s, err := c.GoStream(failingEnd{}, rpc.StreamOptions{}, nil)
	must(t, err)
	c.Shutdown()
	s.Cancel()
	gone := followToTheEnd(file)
	f.until(w.ended)
	must(t, <-gone)
	if *panics != 1 || w.destroyed != 1 {
		t.Errorf("%d panics; OnDestroy %d times, OnError: %v", *panics, w.destroyed, w.err)
	}
}

// failingEnd is a Completion that panics.
type failingEnd struct{}

func (failingEnd) Complete(rpc.Payload, error) { panic("in a callback") }
