package rpc_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

func TestLoopGivesWayToEveryCrowd(t *testing.T) {
	var turns rpc.Turns
	now := time.Now()
	for i := 1; i <= 3*rpc.Crowd; i++ {
		due := turns.Due(now)
		if due != (i%rpc.Crowd == 0) {
			t.Fatalf("due with the %d. that is woken: %v", i, due)
		}
		if due {
			turns.Ended(now, rpc.LongTurn)
		}
	}
}

func TestLoopKeepsTheProcessorForAsLongAsALongTurnTook(t *testing.T) {
	const long = rpc.LongTurn + 1
	var turns rpc.Turns
	began := time.Now()
	nextDue := func(now time.Time) bool {
		for range rpc.Crowd - 1 {
			turns.Due(now)
		}
		return turns.Due(now)
	}
	if !nextDue(began) {
		t.Fatal("not due at first")
	}
	turns.Ended(began, long)
	for _, c := range []struct {
		after time.Duration
		due   bool
	}{{long, false}, {2*long - 1, false}, {2 * long, true}} {
		if due := nextDue(began.Add(c.after)); due != c.due {
			t.Errorf("%v after the begin of a turn of %v, due: %v", c.after, long, due)
		}
	}
}

// The calls that goroutines make as soon as they have their replies are taken before what comes behind these is looked at, if
// there are many.
func TestCallsOfACrowdAreTakenBetweenReplies(t *testing.T) {
	for name, c := range map[string]struct {
		processors, goroutines int
		call                   func(*rpc.Client) error
		prepare                func(*rpc.Client)
	}{
		"typed":       {2, rpc.SmallCrowd, callTyped, func(*rpc.Client) {}},
		"typed, late": {1, rpc.Crowd, callTyped, rpc.ParkLate},
		"late":        {1, rpc.Crowd, callUntyped, rpc.ParkLate},
		"many":        {2, rpc.ManyCalls, callUntyped, rpc.WithAnotherCPU},
	} {
		t.Run(name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.processors))
			taken := func(goroutines int) int { return callsTakenBeforeAnEvent(t, goroutines, c.call, c.prepare) }
			if taken := taken(c.goroutines - 1); taken > 0 {
				t.Errorf("%d calls have been taken between fewer replies", taken)
			}
			// One try may be in vain: a goroutine may be interrupted before it has made its call.
			for taken(c.goroutines) == 0 {
			}
		})
	}
}

func callTyped(c *rpc.Client) error {
	_, err := handedStrings.Call(context.Background(), c, "")
	return err
}

func callUntyped(c *rpc.Client) error {
	_, err := c.CallBytes(context.Background(), nil)
	return err
}

// With one CPU the child would wait meanwhile.
func TestLoopGivesNoWayToManyWithOneCPU(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	if taken := callsTakenBeforeAnEvent(t, rpc.ManyCalls, callUntyped, rpc.WithoutAnotherCPU); taken > 0 {
		t.Errorf("%d calls have been taken between replies", taken)
	}
}

// callsTakenBeforeAnEvent has goroutines make one call after the other. The replies to the first ones come
// together, and an event behind them.
func callsTakenBeforeAnEvent(t *testing.T, goroutines int, call func(*rpc.Client) error, prepare func(*rpc.Client)) (taken int) {
	t.Helper()
	f := newStanding(t)
	var g *callers[string, string]
	told := false
	g = newCallers(f, handedStrings, rpc.Config{OnEvent: func(rpc.Payload) {
		told, taken = true, g.c.InFlight()
	}}, nil)
	prepare(g.c)
	for range goroutines {
		g.all.Go(func() {
			for range 2 {
				if err := call(g.c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	f.until(func() bool { return g.c.InFlight() == goroutines })
	replies := func(first int) (frames string) {
		for i := range goroutines {
			frames += cborReply(t, first+i, "")
		}
		return frames
	}
	greet(f, g.peer)
	say(f, g.peer, replies(1)+frame(0, "an event"))
	f.until(func() bool { return told && g.c.InFlight() == goroutines })
	say(f, g.peer, replies(1+goroutines))
	f.until(func() bool { return g.c.InFlight() == 0 })
	g.all.Wait()
	return taken
}

// A function that panics when the loop gives way keeps no reply back.
func TestPanicBetweenRepliesKeepsNoneBack(t *testing.T) {
	t.Run("late", func(t *testing.T) {
		goroutinesParkLate = true
		defer func() { goroutinesParkLate = false }()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		panicBehindACrowd(t, rpc.Crowd)
	})
	t.Run("with several processors", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
		panicBehindACrowd(t, rpc.SmallCrowd)
	})
}

// panicBehindACrowd has the replies to so many goroutines come together, and a function called that panics, when the loop takes
// the calls they make.
func panicBehindACrowd(t *testing.T, crowd int) {
	f := newFixture(t)
	g := newCallers(f, handedStrings, rpc.Config{}, make([]string, crowd))
	text := hello
	for i := range g.ends {
		text += cborReply(t, i+1, "a reply")
	}
	_, err := g.peer.WriteString(text)
	must(t, err)
	must(t, g.c.WaitReady(func() { panic("in a callback") }))
	f.runIntoPanic()
	g.all.Wait()
	for i, e := range g.ends {
		if e != (ending[string]{resp: "a reply"}) {
			t.Errorf("call %d has ended: %+v", i, e)
		}
	}
}
