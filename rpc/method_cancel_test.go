package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

// ends counts the ends of a typed call.
type ends struct {
	n    int
	resp int
	err  error
}

func (e *ends) add(resp int, err error) { e.n, e.resp, e.err = e.n+1, resp, err }

func TestTypedCallWithADeadlineEndsByIt(t *testing.T) {
	eachBoundedHolding(t, func(t *testing.T, how holding) {
		f := newFixture(t)
		h := newHolders(t, how)
		c := h.connect(f)
		var e ends
		start := time.Now()
		call, err := double.GoWith(c, job{What: "hold"}, within(time.Millisecond), e.add)
		must(t, err)
		f.until(func() bool { return e.n > 0 })
		if since := time.Since(start); !errors.Is(e.err, rpc.ErrDeadline) || since < time.Millisecond {
			t.Errorf("after %v the call ended with %v", since, e.err)
		}
		if c.Cancel(call) {
			t.Error("Cancel reports that it has ended the call")
		}
		f.until(func() bool { return c.InFlight() == 0 })
		if e.n != 1 || len(h.told) != len(h.begun) {
			t.Fatalf("the call ended %d times; of %d handlers %d were told", e.n, len(h.begun), len(h.told))
		}
		if how == (holding{"sync", false}) && len(h.told) > 0 { // the others may hear of the cancel before
			if err := <-h.told; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the handler was told %v", err)
			}
		}
	})
}

// On its own, the client keeps to the deadline, and drops the late reply.
func TestTypedCallEndsAlsoIfTheChildIgnoresItsDeadline(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	var e ends
	_, err := double.GoWith(c, job{}, within(time.Millisecond), e.add)
	must(t, err)
	f.until(func() bool { return e.n > 0 })
	_, err = file.WriteString(hello + frame(1, "\x010"))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
	if e != (ends{1, 0, rpc.ErrDeadline}) {
		t.Errorf("the call ended: %+v", e)
	}
}

func TestTypedCallCanBeCancelled(t *testing.T) {
	eachHolding(t, func(t *testing.T, how holding) {
		f := newFixture(t)
		h := newHolders(t, how)
		c := h.connect(f)
		var cancelled, other ends
		call, err := double.GoWith(c, job{What: "hold"}, rpc.CallOptions{}, cancelled.add)
		must(t, err)
		must(t, f.Poll(0)) // which sends it
		receive(t, h.begun, 1)
		if !c.Cancel(call) || c.Cancel(call) {
			t.Error("Cancel reports the wrong thing")
		}
		if cancelled.n > 0 {
			t.Error("the call ended inside Cancel")
		}
		_, err = double.GoWith(c, job{N: 3}, within(guard), other.add)
		must(t, err)
		f.until(func() bool { return c.InFlight() == 0 })
		if cancelled.n != 1 || !errors.Is(cancelled.err, rpc.ErrCanceled) || other != (ends{1, 6, nil}) {
			t.Errorf("the calls ended: %+v, %+v", cancelled, other)
		}
		if told := receive(t, h.told, 1); !errors.Is(told[0], context.Canceled) {
			t.Errorf("the handler was told %v", told)
		}
	})
}

// Before the other side's hello no deadline travels, after it some do; large
// requests grow the buffer that they are encoded in.
func TestTypedCallsWithDeadlinesReachTheirMethods(t *testing.T) {
	eachTyped(t, func(t *testing.T, p peer, async bool) {
		f := newFixture(t)
		c := f.typed(p, async, rpc.Config{})
		for range 2 {
			calls := 0
			for _, size := range []int{0, 1, 100, 1 << 18} {
				for _, options := range []rpc.CallOptions{within(guard), {}} {
					want := strings.Repeat("x", size)
					_, err := rawMirror.GoWith(c, []byte(want), options, func(got []byte, err error) {
						if string(got) != want || err != nil {
							t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
						}
					})
					must(t, err)
					calls++
				}
			}
			if c.InFlight() != calls {
				t.Errorf("%d calls are in flight", c.InFlight())
			}
			f.until(func() bool { return c.InFlight() == 0 })
		}
	})
}

// Neither what was encoded nor the deadline is left of a call that was not made.
func TestTypedCallThatCannotBeEncodedLeavesNoDeadline(t *testing.T) {
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{MaxFrame: 1000})
	_, err := askTyped(f, c, double, job{N: 1})
	must(t, err)
	never := func(int, error) { t.Error("a call that was not made has ended") }
	bad := rpc.NewMethod[any, int](double.Name(), jsoncodec.Codec{})
	call, err := bad.GoWith(c, make(chan int), within(0), never)
	if !errors.Is(err, rpc.ErrBadRequest) || call != (rpc.CallID{}) {
		t.Errorf("made call %v, %v", call, err)
	}
	call, err = bad.GoWith(c, strings.Repeat("x", 1000), within(0), never)
	if err != rpc.ErrTooLarge || call != (rpc.CallID{}) || c.InFlight() != 0 {
		t.Errorf("made call %v, %v, %d in flight", call, err, c.InFlight())
	}
	if got, err := askTyped(f, c, double, job{N: 4}); got != 8 || err != nil {
		t.Errorf("the next call: %d, %v", got, err)
	}
}

// Nor is anything left of one that a goroutine wanted to make.
func TestCallThatCannotBeEncodedIsNotMade(t *testing.T) {
	f := newFixture(t)
	c := f.typed(pipes("sync"), false, rpc.Config{})
	f.background()
	bad := rpc.NewMethod[any, int](double.Name(), jsoncodec.Codec{})
	for range 2 {
		_, err := bad.Call(t.Context(), c, make(chan int))
		if _, remote := errors.AsType[*rpc.RemoteError](err); !errors.Is(err, rpc.ErrBadRequest) || remote {
			t.Errorf("Call returned %v", err) // what the child refuses is an ErrBadRequest, too
		}
		if got, err := double.Call(t.Context(), c, job{N: 4}); got != 8 || err != nil {
			t.Errorf("the next call: %d, %v", got, err)
		}
	}
	must(t, c.ShutdownWait(t.Context()))
}
