package rpctest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// simulated makes three calls, which a server on the same loop answers after an hour
// and more, over a slow connection, and returns what happened when.
func simulated(t *testing.T, seed uint64) (history []string) {
	t.Helper()
	rpctest.CheckLeaks(t)
	sim := reactortest.New(t, reactor.Config{})
	loop := sim.Loop
	slow := rpctest.Faults{Piece: 40, RandomPieces: true, Delay: time.Minute, RandomDelay: true}
	tr, fds := rpctest.Pair(t, loop, rpctest.Config{Seed: seed, ToChild: slow, ToParent: slow})
	tr.Simulate(sim)
	note := func(format string, args ...any) {
		history = append(history, fmt.Sprint(sim.Clock.Monotonic(), " ")+fmt.Sprintf(format, args...))
	}
	client, err := rpc.NewClient(tr, rpc.Config{OnDestroy: func() { note("destroyed") }, OnError: func(err error) { note("%v", err) }})
	must(t, err)
	for i := range 3 {
		must(t, client.Go(func(_ rpc.Payload, err error) { note("reply %d, %v", i, err) }, "call", fmt.Sprint(i)))
	}
	client.Shutdown()
	wait := time.Hour
	must(t, rpc.ServeAsync(fds, loop, func(request rpc.Payload, done rpc.Done) {
		note("call %q", request)
		wait -= 10 * time.Minute // the last is answered first
		loop.AfterFunc(wait, func() { must(t, done.ReplyBytes(nil)) })
	}))
	ended := false
	tr.OnEnd(func(error) { ended = true })
	must(t, loop.RunUntil(context.Background(), func() bool { return ended && len(history) == 7 }))
	return history
}

// Hours pass in no time, and the same seed is the same history to the nanosecond.
func TestSimulatedHistoryIsTheSameEachTime(t *testing.T) {
	first, again, other := simulated(t, 1), simulated(t, 1), simulated(t, 2)
	if !slices.Equal(first, again) {
		t.Errorf("%q\nand again %q", first, again)
	}
	if slices.Equal(first, other) {
		t.Errorf("another seed: %q", other)
	}
}
