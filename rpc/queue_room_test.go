package rpc_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// A goroutine's call for whose bytes there is no room now waits, and with it those behind it, so that they are made in their order.
func TestCallThatDoesNotFitYetKeepsItsPlace(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	must(t, f.Poll(0)) // which sends the hello
	payloads := []string{strings.Repeat("a", 600), strings.Repeat("b", 700), "c", "d"}
	must(t, f.Post(func() { must(t, c.GoBytes(nil, []byte(payloads[0]))) })) // and until the iteration ends it is there
	var calls sync.WaitGroup
	for i, payload := range payloads[1:] {
		calls.Go(func() {
			reply, err := c.CallBytes(context.Background(), []byte(payload))
			if err != nil || string(reply) != payload {
				t.Errorf("the call of %d bytes ended with %d, %v", len(payload), len(reply), err)
			}
		})
		pollUntil(func() bool { return rpc.Submitted(c) == i+1 })
	}
	f.until(func() bool { return c.InFlight() == len(payloads) })
	want, replies := clientHello, hello
	for i, payload := range payloads {
		want += frame(uint32(i+1), payload)
		replies += frame(uint32(i+1), payload)
	}
	got := make([]byte, len(want))
	must(t, f.Poll(0))
	_, err := io.ReadFull(file, got)
	must(t, err)
	if string(got) != want {
		t.Errorf("sent was %q", got)
	}
	_, err = file.WriteString(replies)
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
	calls.Wait()
}

// A function that waited for room may end the client: all that wait behind it are told.
func TestShutdownInWaitReadyEndsThoseBehindIt(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
	first := f.begin(c, "one")
	var told []string
	must(t, c.WaitReady(func() {
		c.Shutdown()
		told = append(told, "shut down")
	}))
	for _, name := range []string{"a", "b"} {
		must(t, c.WaitReady(func() {
			if err := c.Go(nil); err != rpc.ErrShutdown {
				t.Errorf("Go returned %v", err)
			}
			told = append(told, name)
		}))
	}
	called := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), "late")
		called <- err
	}()
	f.until(func() bool { return rpc.Waiting(c) == 4 })
	_, err := file.WriteString(hello + frame(1, ""))
	must(t, err)
	f.until(func() bool { return len(told) == 3 })
	if err := <-called; err != rpc.ErrShutdown {
		t.Errorf("Call returned %v", err)
	}
	if !first.ended() || strings.Join(told, ", ") != "shut down, a, b" {
		t.Errorf("told were %v", told)
	}
}

// So does one that nobody else waits behind yet, or some do when others come.
func TestCallThatDoesNotFitYetIsFollowedByLaterOnes(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testFollowing(t, 1) })
	t.Run("with another", func(t *testing.T) { testFollowing(t, 2) })
}

// testFollowing has so many calls come to the loop together, of which the first does not fit, and then another each time.
func testFollowing(t *testing.T, together int) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	want, replies := clientHello, hello
	calls := 0
	expect := func(payload string) string {
		calls++
		want += frame(uint32(calls), payload)
		replies += frame(uint32(calls), payload)
		return payload
	}
	for rpc.Buffered(c) < 300 { // then the socket is full, and 700 bytes do not fit
		must(t, f.Poll(0))
		must(t, c.GoBytes(nil, []byte(expect(strings.Repeat("a", 600)))))
		must(t, f.Poll(0))
	}
	var goroutines sync.WaitGroup
	for i, payload := range []string{strings.Repeat("b", 700), "c", "d"} {
		expect(payload)
		goroutines.Go(func() {
			if reply, err := c.CallBytes(context.Background(), []byte(payload)); err != nil || string(reply) != payload {
				t.Errorf("the call of %d bytes ended with %d, %v", len(payload), len(reply), err)
			}
		})
		if i < together {
			pollUntil(func() bool { return rpc.Submitted(c) == i+1 })
		}
		if i+1 >= together {
			f.until(func() bool { return rpc.Waiting(c) == i+1 })
		}
	}
	got := make([]byte, len(want))
	goroutines.Go(func() {
		if _, err := io.ReadFull(file, got); err != nil {
			t.Error(err)
		}
		if _, err := file.WriteString(replies); err != nil {
			t.Error(err)
		}
	})
	f.until(func() bool { return c.InFlight() == 0 })
	goroutines.Wait()
	if string(got) != want {
		t.Error("the calls were sent in another order")
	}
}

// The payload of a goroutine that cannot return before its call has ended is sent from where it is.
func TestPayloadOfACallWithoutAnEndIsNotCopied(t *testing.T) {
	for _, copied := range []bool{false, true} {
		ctx := context.Background()
		if copied {
			ctx = t.Context() // the goroutine may return, and change the payload
		}
		t.Run(fmt.Sprintf("copied %v", copied), func(t *testing.T) {
			f := newFixture(t)
			g := newPayloadCallers(f, 1, rpc.Config{MaxInFlight: 1, OnError: func(error) {}})
			payload := make([]byte, 1<<20)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g.all.Go(func() {
				if _, err := g.c.CallBytes(ctx, payload); err == nil {
					t.Error("there was no reply")
				}
			})
			f.until(func() bool { return rpc.AnyWaiting(g.c) })
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(payload)) != copied {
				t.Errorf("%d bytes were allocated for a payload of %d", n, len(payload))
			}
			must(t, g.peer.Close())
			f.until(func() bool { return g.c.InFlight() == 0 && !rpc.AnyWaiting(g.c) })
			g.all.Wait()
		})
	}
}
