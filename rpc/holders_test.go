package rpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// holding is a server and a form of handlers.
type holding struct {
	server string
	async  bool // HandleAsync
}

// eachHolding runs a test against those that learn of a cancel.
func eachHolding(t *testing.T, test func(t *testing.T, how holding)) {
	for name, how := range map[string]holding{
		"async": {"async", true}, "goroutines/Handle": {"goroutines", false}, "goroutines/HandleAsync": {"goroutines", true},
	} {
		t.Run(name, func(t *testing.T) { test(t, how) })
	}
}

// eachBoundedHolding also runs it against those that learn of a deadline, but handle one call at a time.
func eachBoundedHolding(t *testing.T, test func(t *testing.T, how holding)) {
	eachHolding(t, test)
	t.Run("sync/Handle", func(t *testing.T) { test(t, holding{"sync", false}) })
	t.Run("sync/HandleAsync", func(t *testing.T) { test(t, holding{"sync", true}) })
}

// holders are handlers of double, in this process, that hold the calls of the job
// "hold" until they are told that nobody waits for these.
type holders struct {
	t     *testing.T
	how   holding
	begun chan int   // the jobs they hold
	told  chan error // how they learned
}

// mostHeld is how many jobs a test may have held at most.
const mostHeld = 1000

func newHolders(t *testing.T, how holding) *holders {
	return &holders{t: t, how: how, begun: make(chan int, mostHeld), told: make(chan error, mostHeld)}
}

// connect serves the handlers, and returns when deadlines and cancels travel.
func (h *holders) connect(f *fixture) *rpc.Client {
	h.t.Helper()
	mux := rpc.NewMux()
	if h.how.async {
		double.HandleAsync(mux, h.holdAsync)
	} else {
		double.Handle(mux, h.hold)
	}
	c := f.typedHere(peer{transport: "socketpair", server: h.how.server}, mux, rpc.Config{})
	_, err := askTyped(f, c, double, job{})
	must(h.t, err)
	return c
}

func (h *holders) hold(ctx context.Context, j job) (int, error) {
	if j.What != "hold" {
		return 2 * j.N, bounded(ctx, j)
	}
	h.begun <- j.N
	select {
	case <-ctx.Done():
		h.told <- ctx.Err()
	case <-h.t.Context().Done(): // the test has failed
	}
	return 0, ctx.Err()
}

func (h *holders) holdAsync(j job, answer rpc.Answer[int]) {
	if j.What != "hold" {
		if err := bounded(answer.Context(), j); err != nil {
			answer.Fail(err)
		} else {
			answer.Reply(2 * j.N)
		}
		return
	}
	answer.OnCancel(func(err error) {
		h.told <- err
		answer.Fail(err)
	})
	if h.how.server != "async" { // which does not wait
		context.AfterFunc(h.t.Context(), func() { answer.Fail(context.Canceled) }) // the test has failed
	}
	h.begun <- j.N
}

// bounded fails the job "bounded" unless its call has a deadline.
func bounded(ctx context.Context, j job) error {
	if _, ok := ctx.Deadline(); !ok && j.What == "bounded" {
		return errors.New("the call has no deadline")
	}
	return nil
}

// receive takes n values that handlers send, while the loop does not run, or
// elsewhere.
func receive[T any](t *testing.T, from <-chan T, n int) (got []T) {
	t.Helper()
	timeout := time.After(guard)
	for range n {
		select {
		case v := <-from:
			got = append(got, v)
		case <-timeout:
			t.Fatalf("%d of %d have come", len(got), n)
		}
	}
	return got
}
