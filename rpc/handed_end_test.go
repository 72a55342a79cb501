package rpc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// giveUp makes a call, waits until cond, and has the goroutine give up.
func giveUp(f *fixture, c *rpc.Client, m *rpc.Method[string, string], cond func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	var err error
	ended := false
	go func() {
		_, callErr := m.Call(ctx, c, "given up")
		f.Post(func() { err, ended = callErr, true })
	}()
	f.until(cond)
	cancel()
	f.until(func() bool { return ended })
	if !errors.Is(err, rpc.ErrCanceled) || !errors.Is(err, context.Canceled) {
		f.t.Fatalf("Call returned %v", err)
	}
}

// A call that is given up in flight counts until the child, which is told, has answered, and its late reply is dropped.
func TestTypedCallThatIsGivenUpIsCancelled(t *testing.T) {
	eachHanded(t, "", func(t *testing.T, codec rpc.Codec) {
		f := newFixture(t)
		transport, file := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{})
		_, err := file.WriteString(ourHello)
		must(t, err)
		m := rpc.NewMethod[string, string]("strings", codec)
		giveUp(f, c, m, func() bool { return c.InFlight() == 1 })
		readOneFrame(t, file, 8) // the client's hello
		if call := readOneFrame(t, file, 8); !strings.Contains(call, "given up") {
			t.Errorf("%q was sent instead of the call", call)
		}
		must(t, f.Poll(0)) // which sends the cancel
		if cancel := readOneFrame(t, file, 8); cancel != frame(cancelKind|1, "") {
			t.Errorf("%q was sent instead of the cancel", cancel)
		}
		if n := c.InFlight(); n != 1 {
			t.Errorf("%d calls are in flight after the cancel", n)
		}
		_, err = file.WriteString(frame(1, ""))
		must(t, err)
		f.until(func() bool { return c.InFlight() == 0 })
	})
}

// One that is given up while it waits for room is not made.
func TestTypedCallThatIsGivenUpWhileItWaitsIsNotMade(t *testing.T) {
	eachHanded(t, "", func(t *testing.T, codec rpc.Codec) {
		f := newFixture(t)
		m := rpc.NewMethod[string, string]("strings", codec)
		g := newCallers(f, m, rpc.Config{MaxInFlight: 1}, []string{"first"})
		giveUp(f, g.c, m, func() bool { return rpc.AnyWaiting(g.c) })
		g.answer(frame(1, ""))
		g.ends = append(g.ends, ending[string]{})
		g.call(1, "second")
		f.until(func() bool { return g.c.InFlight() == 1 })
		must(t, f.Poll(0))
		readOneFrame(t, g.peer, 8) // the client's hello
		for _, want := range []string{"first", "second"} {
			if call := readOneFrame(t, g.peer, 8); !strings.Contains(call, want) {
				t.Errorf("%q was sent instead of %q", call, want)
			}
		}
		_, err := g.peer.WriteString(frame(2, ""))
		must(t, err)
		f.until(func() bool { return g.c.InFlight() == 0 })
		g.all.Wait()
	})
}

// watchedCodec is CBOR, and does something else while it encodes.
type watchedCodec struct {
	cborcodec.Codec
	meanwhile func()
}

func (c watchedCodec) Append(buf []byte, value any) ([]byte, error) {
	c.meanwhile()
	return c.Codec.Append(buf, value)
}

// A goroutine that gives up while the loop encodes its request has to wait for that: then the request is its own again.
func TestCallDoesNotReturnWhileItsRequestIsEncoded(t *testing.T) {
	eachProcessors(t, callDoesNotReturnWhileItsRequestIsEncoded)
}

func callDoesNotReturnWhileItsRequestIsEncoded(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	if goroutinesParkLate {
		rpc.ParkLate(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	encoded := false // the race detector tells if one does not come before the other
	m := rpc.NewMethod[string, string]("strings", watchedCodec{meanwhile: func() {
		cancel()
		for range 1000 {
			runtime.Gosched() // Call may do what it wants to
		}
		encoded = true
	}})
	if !rpc.Hands(m, "") {
		t.Fatal("the call is not handed over")
	}
	returned := false
	go func() {
		_, err := m.Call(ctx, c, "")
		if !encoded || !errors.Is(err, rpc.ErrCanceled) {
			t.Errorf("the request is encoded: %v, and Call returned %v", encoded, err)
		}
		f.Post(func() { returned = true })
	}()
	f.until(func() bool { return returned })
	_, err := file.WriteString(hello + frame(1, ""))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
}

// What was kept for a call that was given up is used again, by one whose context has no end, too.
func TestCallAfterOneThatWasGivenUpEnds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	eachHanded(t, "", func(t *testing.T, codec rpc.Codec) {
		f := newFixture(t)
		transport, file := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{})
		_, err := file.WriteString(hello)
		must(t, err)
		m := rpc.NewMethod[string, string]("strings", codec)
		giveUp(f, c, m, func() bool { return c.InFlight() == 1 })
		_, err = file.WriteString(frame(1, ""))
		must(t, err)
		f.until(func() bool { return c.InFlight() == 0 })
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := m.Call(context.Background(), c, ""); err == nil {
				t.Error("an empty reply is none of a string")
			}
		})
		f.until(func() bool { return c.InFlight() == 1 })
		_, err = file.WriteString(frame(2, ""))
		must(t, err)
		f.until(func() bool { return c.InFlight() == 0 })
		calls.Wait()
	})
}

// Typed calls and others have nothing in common that one could leave to the other.
func TestTypedCallLeavesNothingToAPlainOne(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a pool has what was put into it on the same processor
	f := newFixture(t)
	g := newCallers(f, handedStrings, rpc.Config{}, make([]string, 1))
	g.answer(cborReply(t, 1, "one"))
	g.ends = append(g.ends, ending[string]{})
	g.call(1, "typed")
	f.until(func() bool { return g.c.InFlight() == 1 })
	g.all.Go(func() {
		if reply, err := g.c.CallBytes(context.Background(), nil); err != nil || string(reply) != "plain" {
			t.Errorf("the plain call ended with %q, %v", reply, err)
		}
	})
	f.until(func() bool { return g.c.InFlight() == 2 })
	_, err := g.peer.WriteString(frame(3, "plain") + cborReply(t, 2, "two"))
	must(t, err)
	f.until(func() bool { return g.c.InFlight() == 0 })
	g.all.Wait()
	if want := (ending[string]{resp: "two"}); g.ends[1] != want {
		t.Errorf("the typed call has ended: %+v", g.ends[1])
	}
}
