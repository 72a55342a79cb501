package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// eachEnd runs a test with a ctx that has no end, and with one that may be cancelled.
func eachEnd(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Run("patient", func(t *testing.T) { test(t, context.Background()) })
	t.Run("cancelable", func(t *testing.T) { test(t, t.Context()) })
}

// A goroutine that finds the end of its call when it has yielded does not park.
func TestGoroutineFindsTheEndOfItsCallInItsTurn(t *testing.T) {
	eachEnd(t, func(t *testing.T, ctx context.Context) {
		f := newFixture(t)
		c := f.connect(pipes("sync"), rpc.Config{})
		caller := rpc.NewLateCaller(ctx, c)
		caller.End()
		if !caller.Park() { // nobody would wake it
			t.Error("a call that has ended was given up")
		}
	})
}

func TestGoroutineThatYieldedInVainParksAndIsWoken(t *testing.T) {
	eachEnd(t, func(t *testing.T, ctx context.Context) {
		f := newFixture(t)
		c := f.connect(pipes("sync"), rpc.Config{})
		caller := rpc.NewLateCaller(ctx, c)
		var goroutine sync.WaitGroup
		goroutine.Go(func() {
			if !caller.Park() {
				t.Error("a call that has ended was given up")
			}
		})
		pollUntil(caller.Parked)
		caller.End()
		goroutine.Wait()
	})
}

func TestCallThatIsParkedIsGivenUpWithItsContext(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	caller := rpc.NewLateCaller(ctx, c)
	var goroutine sync.WaitGroup
	goroutine.Go(func() {
		if caller.Park() {
			t.Error("the end of the ctx was not noticed")
		}
	})
	pollUntil(caller.Parked)
	cancel()
	goroutine.Wait()
	caller.End()
	if !caller.LetGo() {
		t.Error("the end of the call is for somebody who has gone")
	}
}

// Between the end of a call and the moment when its goroutine is told of it the ctx may end: the reply is delivered.
func TestCallThatIsEndingIsNotGivenUp(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	for _, parks := range []string{"before the end", "behind it"} {
		ctx, cancel := context.WithCancel(t.Context())
		caller := rpc.NewLateCaller(ctx, c)
		var goroutine sync.WaitGroup
		park := func(until func() bool) {
			goroutine.Go(func() {
				if !caller.Park() {
					t.Errorf("parked %s: a call that has ended was given up", parks)
				}
			})
			pollUntil(until)
		}
		if parks == "before the end" {
			park(caller.Parked)
		}
		rpc.ActOnReplies(c, func() {
			caller.End()
			cancel()
			if parks == "behind it" {
				park(caller.Awaited)
			}
		})
		goroutine.Wait()
	}
}

// The loop comes back when those have run who have their replies, and before those run again who have none.
func TestLoopComesBackWithTheLastOfThoseWhoHaveReplies(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	// Some tries are in vain: every 61st time the scheduler takes another goroutine, and the runtime has goroutines of its own.
	const tries = 200
	good := 0
	for range tries {
		first, second, without := rpc.NewLateCaller(t.Context(), c), rpc.NewLateCaller(context.Background(), c), rpc.NewLateCaller(t.Context(), c)
		var goroutines sync.WaitGroup
		var ran atomic.Int32
		goroutines.Go(func() { first.Park(); ran.Add(1) })
		goroutines.Go(func() { second.Park(); ran.Add(1) })
		goroutines.Go(func() {})
		runtime.Gosched() // the first two yield, in their order
		goroutines.Go(func() { without.Park() })
		rpc.ActOnReplies(c, func() { first.End(); second.End() })
		if ran.Load() > 0 && !without.Parked() { // the second may go on behind the loop
			good++
		}
		without.End()
		goroutines.Wait()
		if n := ran.Load(); n != 2 {
			t.Fatalf("%d of two goroutines have run", n)
		}
	}
	if good < tries/2 {
		t.Errorf("the loop has come back as it should %d times of %d", good, tries)
	}
}

func TestWhetherGoroutinesParkLate(t *testing.T) {
	good := rpc.Read{Crowded: true, Processors: 1, Rested: rpc.LateTrial, Told: rpc.LateTrial, Found: rpc.LateTrial * 3 / 4}
	with := func(change func(*rpc.Read)) rpc.Read {
		r := good
		change(&r)
		return r
	}
	for _, c := range []struct {
		name       string
		read       rpc.Read
		begin, end bool
	}{
		{"all is well", good, true, false},
		{"several processors", with(func(r *rpc.Read) { r.Processors = 2 }), false, true},
		{"one CPU", with(func(r *rpc.Read) { r.OneCPU = true }), false, true},
		{"few calls in flight", with(func(r *rpc.Read) { r.Crowded = false }), false, true},
		{"a long turn", with(func(r *rpc.Read) { r.Slow = true }), false, true},
		{"not rested", with(func(r *rpc.Read) { r.Rested-- }), false, false},
		{"in vain", with(func(r *rpc.Read) { r.Found-- }), true, true},
		{"in vain, and too few to tell", with(func(r *rpc.Read) { r.Told--; r.Found = 0 }), true, false},
	} {
		if got := rpc.ParksLate(false, c.read); got != c.begin {
			t.Errorf("%s: begins: %v", c.name, got)
		}
		if got := !rpc.ParksLate(true, c.read); got != c.end {
			t.Errorf("%s: ends: %v", c.name, got)
		}
	}
}

// Each trial that is in vain has the next come later; one that is not has it come soon.
func TestTrialsOfLateParkingBecomeRare(t *testing.T) {
	const first = rpc.LateTrial
	want := []uint{2 * first, 4 * first, 8 * first, rpc.LateRest, rpc.LateRest, first}
	if rests := rpc.RestsOfLateParking(5); !slices.Equal(rests, want) {
		t.Errorf("%d, want %d", rests, want)
	}
}

// Calls that park late have their replies, and end if the child is killed, whatever the number of processors.
func TestCallsThatParkLateEndOnce(t *testing.T) {
	for _, server := range []string{"async", "sync", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			f := newFixture(t)
			proc := f.spawn(pipes(server), child.Config{})
			c := f.client(proc, pipes(server), rpc.Config{OnError: func(error) {}})
			f.works(c)
			rpc.ParkLate(c)
			f.background()
			var callers sync.WaitGroup
			for g := range 2 * rpc.LateCrowd {
				callers.Go(func() { callUntilLost(t, everyOtherCaller(c, g), g) })
			}
			for range 20 {
				runtime.GOMAXPROCS(1 + rand.IntN(2))
				if _, err := c.Call(context.Background(), "echo"); err != nil {
					t.Error(err)
				}
			}
			must(t, proc.Kill())
			callers.Wait()
		})
	}
}

// callUntilLost makes calls until the child is lost.
func callUntilLost(t *testing.T, c payloadCaller, goroutine int) {
	for i := 0; ; i++ {
		want := fmt.Sprint(goroutine, " ", i)
		reply, err := c.Call(context.Background(), "echo", want)
		if err != nil {
			if lost := new(rpc.LostError); !errors.As(err, &lost) {
				t.Errorf("call %s has ended: %v", want, err)
			}
			return
		}
		if got, _ := reply.Strings(); len(got) != 1 || got[0] != want {
			t.Errorf("%q came back as %q", want, got)
		}
	}
}

// Typed calls that park late end once: with their own reply, with the end of their ctx, or with the child's.
func TestTypedCallsThatParkLateEndOnce(t *testing.T) {
	for _, server := range []string{"async", "sync", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			f := newFixture(t)
			c := f.typed(pipes(server), false, rpc.Config{OnError: func(error) {}})
			rpc.ParkLate(c)
			f.background()
			var callers sync.WaitGroup
			for g := range 2 * rpc.LateCrowd {
				callers.Go(func() { callTypedUntilLost(t, c, g) })
			}
			for range 20 {
				runtime.GOMAXPROCS(1 + rand.IntN(2))
				if _, err := cborNumbers.Call(context.Background(), c, pair{}); err != nil {
					t.Error(err)
				}
			}
			if _, err := crashing.Call(context.Background(), c, ""); err == nil {
				t.Error("the child has survived")
			}
			callers.Wait()
		})
	}
}

// callTypedUntilLost makes calls, of which some are cancelled, until the child is lost.
func callTypedUntilLost(t *testing.T, c *rpc.Client, goroutine int) {
	for i := 0; ; i++ {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if i%2 == 1 {
			ctx, cancel = context.WithCancel(ctx)
		}
		if i%8 == 1 {
			go cancel()
		}
		want := pair{A: goroutine, B: float64(i)}
		got, err := cborNumbers.Call(ctx, c, want)
		cancel()
		lost := new(rpc.LostError)
		switch {
		case err == nil && got == want, i%8 == 1 && errors.Is(err, rpc.ErrCanceled):
		case errors.As(err, &lost):
			return
		default:
			t.Errorf("call %v has ended: %v, %v", want, got, err)
			return
		}
	}
}

// Calls that park late and are cancelled, or late, at any time end once: with their own reply, or with the end of their ctx.
func TestCallsThatParkLateEndWithTheirContext(t *testing.T) {
	for _, server := range []string{"async", "sync"} {
		t.Run(server, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			f := newFixture(t)
			c := f.connect(pipes(server), rpc.Config{})
			f.works(c)
			rpc.ParkLate(c)
			f.background()
			const goroutines, calls = 2 * rpc.LateCrowd, 20
			cancels := make(chan context.CancelFunc, goroutines)
			var callers, canceler sync.WaitGroup
			canceler.Go(func() {
				for cancel := range cancels {
					cancel()
				}
			})
			for g := range goroutines {
				callers.Go(func() {
					caller := everyOtherCaller(c, g)
					for i := range calls {
						callAndCancel(t, caller, fmt.Sprint(g, " ", i), cancels)
					}
				})
			}
			callers.Wait()
			close(cancels)
			canceler.Wait()
			reply, err := c.Call(t.Context(), "echo", "still here")
			if got, _ := reply.Strings(); err != nil || len(got) != 1 || got[0] != "still here" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// callAndCancel makes a call that somebody else cancels.
func callAndCancel(t *testing.T, c payloadCaller, want string, cancels chan<- context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancels <- cancel
	reply, err := c.Call(ctx, "echo", want)
	if err != nil {
		if !errors.Is(err, rpc.ErrCanceled) {
			t.Errorf("call %s has ended: %v", want, err)
		}
		return
	}
	if got, _ := reply.Strings(); len(got) != 1 || got[0] != want {
		t.Errorf("%q came back as %q", want, got)
	}
}

// The loop does not give way to goroutines whose calls fail while it takes calls: they try again, and it would take these, too,
// and those after them, before it came to what has been read.
func TestCallsThatFailDoNotKeepTheLoopFromWhatItHasRead(t *testing.T) {
	const tries = 20
	for name, c := range map[string]struct {
		processors, goroutines int
		most                   int32 // one each time the loop gives way
		prepare                func(*rpc.Client)
	}{
		"late": {1, 2*rpc.Crowd - 1, 1, rpc.ParkLate},
		"many": {2, rpc.ManyCalls, rpc.ManyCalls / rpc.Crowd, rpc.WithAnotherCPU},
	} {
		t.Run(name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.processors))
			bad := 0
			for range tries {
				if failuresBeforeAnEvent(t, c.goroutines, c.prepare) > c.most {
					bad++
				}
			}
			if bad > tries/2 { // the loop may be interrupted
				t.Errorf("%d times of %d, a call has failed again and again before an event that had been read", bad, tries)
			}
		})
	}
}

// failuresBeforeAnEvent has goroutines make a call each, whose replies come together, and an event behind them, and then calls that
// are too large. It returns how many of one goroutine have failed before the event.
func failuresBeforeAnEvent(t *testing.T, goroutines int, prepare func(*rpc.Client)) (most int32) {
	t.Helper()
	const limit, enough = 1000, 100
	f := newStanding(t)
	var told atomic.Bool
	failures := make([]atomic.Int32, goroutines)
	g := newCallers(f, handedStrings, rpc.Config{MaxFrame: limit, OnEvent: func(rpc.Payload) {
		told.Store(true)
		for i := range failures {
			most = max(most, failures[i].Load())
		}
	}}, nil)
	prepare(g.c)
	replies := ""
	for i := range goroutines {
		replies += frame(uint32(i+1), "")
		g.all.Go(func() {
			_, err := g.c.CallBytes(context.Background(), nil)
			for err == nil && !told.Load() && failures[i].Load() < enough {
				if _, failure := g.c.CallBytes(context.Background(), make([]byte, limit+1)); !errors.Is(failure, rpc.ErrTooLarge) {
					err = fmt.Errorf("a call that is too large has ended: %w", failure)
				}
				failures[i].Add(1)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	f.until(func() bool { return g.c.InFlight() == goroutines })
	greet(f, g.peer)
	say(f, g.peer, replies+frame(0, "an event"))
	f.until(told.Load)
	f.background()
	g.all.Wait()
	return most
}
