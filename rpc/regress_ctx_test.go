package rpc_test

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evfork/evfork/rpc"
)

// onceDone is a ctx that panics when it is asked for its channel again.
type onceDone struct {
	context.Context
	asked bool
}

func (o *onceDone) Done() <-chan struct{} {
	if o.asked {
		panic("asked again")
	}
	o.asked = true
	return o.Context.Done()
}

// A ctx that panicked, blocked, or ended its goroutine when the call had been made already took it out of the row of those whose replies
// came together, or out of the batch that it was to decode: the others waited for ever.
func TestContextIsNotAskedByAWaitingCall(t *testing.T) {
	for name, call := range map[string]func(*rpc.Client, context.Context) error{
		"client": func(c *rpc.Client, ctx context.Context) error { _, err := c.CallBytes(ctx, nil); return err },
		"caller": func(c *rpc.Client, ctx context.Context) error {
			_, err := c.NewCaller().CallBytes(ctx, nil)
			return err
		},
		"typed": func(c *rpc.Client, ctx context.Context) error { _, err := handedStrings.Call(ctx, c, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			eachProcessors(t, func(t *testing.T) { onceDoneBeforeAnother(t, call) })
		})
	}
}

// onceDoneBeforeAnother has two goroutines make a call, the first with a onceDone, and both replies come together.
func onceDoneBeforeAnother(t *testing.T, call func(*rpc.Client, context.Context) error) {
	f := newStanding(t)
	g := newCallers(f, handedStrings, rpc.Config{}, nil)
	if goroutinesParkLate {
		rpc.ParkLate(g.c)
	}
	for i, ctx := range []context.Context{&onceDone{Context: t.Context()}, t.Context()} {
		g.all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("call %d: %v", i, p)
				}
			}()
			if err := call(g.c, ctx); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
		f.until(func() bool { return g.c.InFlight() == i+1 })
	}
	greet(f, g.peer)
	say(f, g.peer, cborReply(t, 1, "")+cborReply(t, 2, ""))
	f.until(func() bool { return g.c.InFlight() == 0 })
	g.all.Wait()
}

// What a method keeps for its next call was of no use in another bubble: the process died of a channel that belonged to the first.
func TestMethodIsCalledInSeveralBubbles(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, what is kept may be another processor's
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			mux := rpc.NewMux()
			handedStrings.Handle(mux, func(_ context.Context, s string) (string, error) { return s, nil })
			c := f.typedHere(peer{server: "sync"}, mux, rpc.Config{})
			f.background()
			if reply, err := handedStrings.Call(context.Background(), c, "text"); err != nil || reply != "text" {
				t.Errorf("%q, %v", reply, err)
			}
		})
	}
}

// noDeadline is a ctx that has none, and says so beside a time that has passed.
type noDeadline struct{ context.Context }

func (noDeadline) Deadline() (time.Time, bool) { return time.Unix(1, 0), false }

// A call whose ctx had no deadline was refused at that time.
func TestContextWithoutADeadlineHasNone(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.background()
	ctx := noDeadline{t.Context()}
	_, err := c.CallBytes(ctx, request("echo"))
	must(t, err)
	_, err = c.CallStream(ctx, rpc.StreamOptions{}, request("echo")).Reply()
	must(t, err)
}

// ownEnd is a ctx that has ended with an error of its own.
type ownEnd struct {
	context.Context
	err error
}

func (*ownEnd) Done() <-chan struct{} { return closedChannel }
func (o *ownEnd) Err() error          { return o.err }

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// manyErrors cannot be compared.
type manyErrors []error

func (m manyErrors) Error() string { return errors.Join(m...).Error() }

// An error of a ctx's own that is neither of package context's was missing from the call's, and one that cannot be compared panicked.
func TestContextMayEndWithAnErrorOfItsOwn(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.background()
	for _, own := range []error{fs.ErrExist, manyErrors{fs.ErrExist}} {
		_, err := c.CallBytes(&ownEnd{t.Context(), own}, nil)
		if !errors.Is(err, rpc.ErrCanceled) || !strings.Contains(err.Error(), fs.ErrExist.Error()) {
			t.Errorf("the call ended with %v, want ErrCanceled and %v", err, own)
		}
	}
}
