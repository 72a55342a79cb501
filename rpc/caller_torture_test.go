package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// Callers that go from goroutine to goroutine make calls of any size, with any ctx, that are cancelled at any time, and find their own
// replies only, which stay as they are until the next call, until the client shuts down or its child is killed.
func TestCallersHaveTheirOwnReplies(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
		for _, inFlight := range []int{1, 7, 0} {
			for _, killed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, %d, killed %v", wire, inFlight, killed), func(t *testing.T) {
					tortureCallers(t, wire, inFlight, killed)
				})
			}
		}
	}
}

const (
	tortureFrame = 80 << 10
	deadlineRoom = 27 // what is said of a deadline
)

func tortureCallers(t *testing.T, wire rpc.Wire, inFlight int, killed bool) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := peer{transport: "pipes", server: "async", wire: wire, mirror: true}
	f := newFixture(t)
	proc := f.spawn(p, child.Config{})
	c := f.client(proc, p, rpc.Config{MaxInFlight: inFlight, MaxFrame: tortureFrame, OnError: func(error) {}})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f.background()
	const goroutines, calls = 40, 60
	callers := make(chan *tortured, goroutines)
	for range goroutines / 2 { // the others wait for one
		callers <- &tortured{caller: c.NewCaller()}
	}
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			draw := rand.New(rand.NewPCG(seed, uint64(g)))
			for range calls {
				caller := <-callers
				caller.call(t, draw)
				callers <- caller
			}
		})
	}
	for i := range 6 {
		runtime.GOMAXPROCS(1 + i%3)
		if i == 2 {
			must(t, f.Do(t.Context(), func() { rpc.ParkLate(c) }))
		}
		_, _ = c.CallBytes(t.Context(), nil)
	}
	if killed {
		must(t, proc.Kill())
	}
	all.Wait()
	c.ShutdownWait(t.Context())
	if reply, err := (<-callers).caller.CallBytes(t.Context(), nil); err == nil || reply != nil {
		t.Errorf("after the end: %q, %v", reply, err)
	}
}

// tortured is a Caller and what it has to remember.
type tortured struct {
	caller      *rpc.Caller
	reply, want []byte
	made        uint64
}

func (c *tortured) call(t *testing.T, draw *rand.Rand) {
	if !bytes.Equal(c.reply, c.want) {
		t.Errorf("a reply has changed from %.40q to %.40q", c.want, c.reply)
	}
	ctx, cancel := drawCtx(t, draw)
	defer cancel()
	c.made++
	payload := fmt.Appendf(nil, "%p %d ", c, c.made)
	switch draw.IntN(12) {
	case 0:
		payload = append(payload, make([]byte, draw.IntN(tortureFrame+1000))...)
	case 1:
		payload = c.reply // which is its own to be sent
	default:
		payload = append(payload, make([]byte, draw.IntN(200))...)
	}
	want := bytes.Clone(payload)
	reply, err := c.caller.CallBytes(ctx, payload)
	c.reply, c.want = nil, nil
	lost := new(rpc.LostError)
	switch {
	case err == nil && reply != nil && bytes.Equal(reply, want):
		c.reply, c.want = reply, want
	case err == nil || reply != nil:
		t.Errorf("%.40q has come back as %.40q, %v", want, reply, err)
	case errors.As(err, &lost), errors.Is(err, rpc.ErrCanceled) && ctx.Err() == context.Canceled:
	case errors.Is(err, rpc.ErrDeadline):
		if at, ok := ctx.Deadline(); !ok || time.Now().Before(at) {
			t.Errorf("%v before the deadline", err)
		}
	case errors.Is(err, rpc.ErrTooLarge) && len(want) > tortureFrame-deadlineRoom: // which is the frame's, too, if there is one
	default:
		t.Errorf("a call of %d bytes has ended with %v", len(want), err)
	}
}

// drawCtx returns a ctx that has no end, has ended, or will end.
func drawCtx(t *testing.T, draw *rand.Rand) (context.Context, context.CancelFunc) {
	switch draw.IntN(6) {
	case 0:
		return context.Background(), func() {}
	case 1:
		return context.WithTimeout(t.Context(), time.Duration(draw.IntN(300))*time.Microsecond)
	case 2:
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx, cancel
	case 3:
		ctx, cancel := context.WithCancel(t.Context())
		turns := draw.IntN(20)
		go func() {
			for range turns {
				runtime.Gosched()
			}
			cancel()
		}()
		return ctx, cancel
	}
	return context.WithCancel(t.Context())
}
