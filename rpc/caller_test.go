package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// payloadCaller is what a client and a Caller have in common.
type payloadCaller interface {
	Call(ctx context.Context, args ...string) (rpc.Payload, error)
	CallBytes(ctx context.Context, payload []byte) (rpc.Payload, error)
}

// everyOtherCaller is the client, or a Caller of it.
func everyOtherCaller(c *rpc.Client, goroutine int) payloadCaller {
	if goroutine%2 == 0 {
		return c
	}
	return c.NewCaller()
}

func TestCallerAllocatesNothing(t *testing.T) {
	for name, ctx := range map[string]func(*testing.T) context.Context{
		"without an end": func(*testing.T) context.Context { return context.Background() },
		"with an end":    (*testing.T).Context,
	} {
		t.Run(name, func(t *testing.T) {
			skipWithRaceDetector(t)
			f := newFixture(t)
			caller := f.connect(peer{transport: "pipes", server: "sync", mirror: true}, rpc.Config{}).NewCaller()
			f.background()
			list := rpc.Strings("some", "arguments")
			calls := func() {
				_, err := caller.Call(ctx(t), "some", "arguments")
				_, errBytes := caller.CallBytes(ctx(t), list)
				if err = errors.Join(err, errBytes); err != nil {
					t.Fatal(err)
				}
			}
			for range warmUp {
				calls()
			}
			if allocs := testing.AllocsPerRun(1000, calls); allocs != 0 {
				t.Errorf("two calls allocate %v times", allocs)
			}
		})
	}
}

// echoed makes a call and has it compared.
func echoed(t *testing.T, caller payloadCaller, payload []byte) rpc.Payload {
	t.Helper()
	want := bytes.Clone(payload)
	reply, err := caller.CallBytes(t.Context(), payload)
	if err != nil || !bytes.Equal(reply, want) {
		t.Fatalf("%.40q came back as %.40q, %v", want, reply, err)
	}
	return reply
}

// onEachWire runs a test with a client of a sync server.
func onEachWire(t *testing.T, mirror bool, test func(t *testing.T, c *rpc.Client, wire rpc.Wire)) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
		t.Run(wire.String(), func(t *testing.T) {
			f := newFixture(t)
			c := f.connect(peer{transport: "socketpair", server: "sync", wire: wire, mirror: mirror}, rpc.Config{})
			f.background()
			test(t, c, wire)
		})
	}
}

func TestReplyToACallerIsValidUntilItsNextCall(t *testing.T) {
	onEachWire(t, true, func(t *testing.T, c *rpc.Client, _ rpc.Wire) {
		caller, other := c.NewCaller(), c.NewCaller()
		first := echoed(t, caller, []byte("first"))
		echoed(t, other, []byte("other"))
		echoed(t, c, []byte("third"))
		if string(first) != "first" {
			t.Errorf("calls of others have made it %q", first)
		}
		if next := echoed(t, caller, []byte("again")); &next[0] != &first[0] {
			t.Error("its memory has not been used again")
		}
	})
}

func TestCallersRequestMayBeItsLastReply(t *testing.T) {
	onEachWire(t, true, func(t *testing.T, c *rpc.Client, _ rpc.Wire) {
		caller := c.NewCaller()
		reply := rpc.Payload("abcdefghijklmnopqrstuvwxyz")
		for len(reply) > 0 {
			reply = echoed(t, caller, reply[1:])
		}
		if reply == nil || echoed(t, c.NewCaller(), nil) == nil {
			t.Error("an empty reply is nil")
		}
	})
}

// The memory of a large reply is not kept for small ones.
func TestCallerDoesNotKeepLargeReplies(t *testing.T) {
	onEachWire(t, true, func(t *testing.T, c *rpc.Client, _ rpc.Wire) {
		caller := c.NewCaller()
		echoed(t, caller, make([]byte, 1<<20))
		if small := echoed(t, caller, []byte("small")); cap(small) > 1<<16 {
			t.Errorf("the memory of a small reply has %d bytes", cap(small))
		}
		if _, err := caller.Call(t.Context(), strings.Repeat("large", 1<<16)); err != nil {
			t.Error(err)
		}
		if _, err := caller.Call(t.Context(), "small"); err != nil {
			t.Error(err)
		}
		if kept := rpc.KeptByCaller(caller); kept > 1<<16 {
			t.Errorf("a Caller keeps %d bytes after a small call", kept)
		}
	})
}

// Nor are large arguments kept, whether or not there is a Call behind them.
func TestCallerDoesNotKeepLargeArguments(t *testing.T) {
	onEachWire(t, false, func(t *testing.T, c *rpc.Client, _ rpc.Wire) {
		caller := c.NewCaller()
		if _, err := caller.Call(t.Context(), "most", strings.Repeat("large", 1<<16)); err != nil {
			t.Error(err)
		}
		if kept := rpc.KeptByCaller(caller); kept > 1<<16 {
			t.Errorf("a Caller keeps %d bytes", kept)
		}
	})
}

// A Caller goes on after a call that has failed, was given up, or was not made, and what comes of that later is not its reply.
func TestCallerGoesOnAfterErrors(t *testing.T) {
	onEachWire(t, false, func(t *testing.T, c *rpc.Client, wire rpc.Wire) {
		caller := c.NewCaller()
		works := func(text string) {
			t.Helper()
			reply, err := caller.Call(t.Context(), "echo", text)
			if got, _ := reply.Strings(); err != nil || len(got) != 1 || got[0] != text {
				t.Errorf("%q came back as %q, %v", text, got, err)
			}
		}
		works("before")
		if wire == rpc.Evfork { // only there are errors of calls
			if reply, err := caller.Call(t.Context(), "fail"); err == nil || reply != nil {
				t.Errorf("a handler's error came as %q, %v", reply, err)
			}
			works("after an error")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if reply, err := caller.Call(ended, "echo", "not made"); !errors.Is(err, rpc.ErrCanceled) || reply != nil {
			t.Errorf("with a ctx that has ended: %q, %v", reply, err)
		}
		works("after a call that was not made")
		must(t, c.ShutdownWait(t.Context()))
		lost := new(rpc.LostError)
		if reply, err := caller.Call(t.Context(), "echo"); !errors.As(err, &lost) && !errors.Is(err, rpc.ErrShutdown) || reply != nil {
			t.Errorf("after Shutdown: %q, %v", reply, err)
		}
	})
}

// The reply to a call that was given up, of which the child is told, is nobody's.
func TestReplyToACallThatWasGivenUpIsNotTheCallers(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	f.background()
	_, err := file.WriteString(ourHello)
	must(t, err)
	if got := readOneFrame(t, file, 8); got != clientHello {
		t.Fatalf("the client begins with %q", got)
	}
	caller := c.NewCaller()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := caller.CallBytes(ctx, []byte("given up"))
		ended <- err
	}()
	if got, want := readOneFrame(t, file, 8), frame(1, "given up"); got != want {
		t.Fatalf("%q instead of %q", got, want)
	}
	cancel()
	if err := <-ended; !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("it has ended with %v", err)
	}
	if got, want := readOneFrame(t, file, 8), frame(cancelKind|1, ""); got != want {
		t.Errorf("the child is told %q instead of %q", got, want)
	}
	go func() {
		reply, err := caller.CallBytes(t.Context(), []byte("the next"))
		if err == nil && string(reply) != "mine" {
			err = fmt.Errorf("the reply is %q", reply)
		}
		ended <- err
	}()
	if got, want := readOneFrame(t, file, 8), frame(2, "the next"); got != want {
		t.Fatalf("%q instead of %q", got, want)
	}
	_, err = file.WriteString(frame(1, "late, and longer") + frame(2, "mine"))
	must(t, err)
	must(t, <-ended)
}

// What a Caller gives back, because its call was not made, is as good for calls of others: nothing of its own is left in it.
func TestCallsOfOthersHaveNothingOfACallers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, what is given back may be another processor's
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.background()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	givesBack := func() {
		caller := c.NewCaller()
		if _, err := caller.Call(t.Context(), "echo", "a Caller's"); err != nil {
			t.Error(err)
		}
		if _, err := caller.Call(ended, "echo"); !errors.Is(err, rpc.ErrCanceled) {
			t.Errorf("with a ctx that has ended: %v", err)
		}
	}
	for range 10 {
		givesBack()
		if reply, err := c.Call(t.Context(), "fail", "text"); err == nil || reply != nil {
			t.Errorf("a handler's error came as %q, %v", reply, err)
		}
		givesBack()
		if reply, err := c.Call(t.Context(), "echo"); err != nil || reply == nil {
			t.Errorf("an empty reply came as %v, %v", reply, err)
		}
	}
}

// The error of a typed call is not that of the next.
func TestErrorOfATypedCallIsNotThatOfTheNext(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as above
	f := newFixture(t)
	mux := rpc.NewMux()
	handedStrings.Handle(mux, func(_ context.Context, text string) (string, error) {
		if text == "fail" {
			return "", errors.New("expected")
		}
		return text, nil
	})
	c := f.typedHere(peer{transport: "socketpair", server: "sync"}, mux, rpc.Config{})
	f.background()
	for range 10 {
		if _, err := handedStrings.Call(t.Context(), c, "fail"); err == nil {
			t.Error("a handler's error did not come")
		}
		if text, err := handedStrings.Call(t.Context(), c, "text"); err != nil || text != "text" {
			t.Errorf("behind an error: %q, %v", text, err)
		}
	}
}
