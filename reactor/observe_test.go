package reactor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// panicLoop makes a loop that records what its callbacks panicked with.
func panicLoop(t *testing.T) (*reactor.Loop, *[]*reactor.Panic) {
	var got []*reactor.Panic
	loop := newLoopWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { got = append(got, p) }})
	return loop, &got
}

// TestOnPanicKeepsTheLoopGoing: every kind of callback panics in one iteration, and
// what stands behind each is called all the same, once.
func TestOnPanicKeepsTheLoopGoing(t *testing.T) {
	loop, got := panicLoop(t)
	after := 0
	count := func() { after++ }
	fail := func() { panic("on purpose") }

	var hooks []*reactor.Hook
	for _, make := range []func(func()) *reactor.Hook{loop.OnPrepare, loop.OnCheck} {
		hooks = append(hooks, make(fail), make(count))
	}
	loop.AfterFunc(0, fail)
	loop.AfterFunc(0, count)
	p := readyPipe(t)
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { fail() })
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { count() })
	must(t, loop.Post(fail))
	must(t, loop.Post(count))
	pollTimes(t, loop, 1)

	var kinds []string
	for _, p := range *got {
		kinds = append(kinds, p.Kind)
		if p.Value != "on purpose" || !strings.Contains(string(p.Stack), "observe_test.go") {
			t.Errorf("%s: value %v, stack\n%s", p.Kind, p.Value, p.Stack)
		}
	}
	if want := []string{"prepare", "timer", "fd", "post", "check"}; !slices.Equal(kinds, want) {
		t.Errorf("got panics of %q, want %q", kinds, want)
	}
	if after != 5 {
		t.Errorf("%d callbacks behind a panic were called, want 5", after)
	}
	for _, h := range hooks {
		h.Stop()
	}
}

func TestOnPanicKeepsIdleHooksGoing(t *testing.T) {
	loop, got := panicLoop(t)
	after := 0
	loop.OnIdle(func() { panic("on purpose") })
	loop.OnIdle(func() { after++ })
	pollTimes(t, loop, 1)
	if len(*got) != 1 || (*got)[0].Kind != "idle" || after != 1 {
		t.Errorf("panics %v, the hook behind was called %d times", *got, after)
	}
}

// TestPanicInAStreamsCallbackFailsThatStream: its OnClose is told, nobody else's.
func TestPanicInAStreamsCallbackFailsThatStream(t *testing.T) {
	for _, from := range []string{"OnData", "OnEOF", "OnDrain", "OnClose", "OnWriteError"} {
		t.Run(from, func(t *testing.T) {
			loop, got := panicLoop(t)
			where := func(name string) func() {
				return func() {
					if name == from {
						panic(errors.ErrUnsupported)
					}
				}
			}
			var closed []error
			ours, theirs := fdtest.Sockets(t)
			defer theirs.Close()
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
				HighWater:    1,
				OnData:       func([]byte) { where("OnData")() },
				OnEOF:        where("OnEOF"),
				OnDrain:      where("OnDrain"),
				OnWriteError: func(error) { where("OnWriteError")() },
				OnClose: func(err error) {
					closed = append(closed, err)
					where("OnClose")()
				},
			})
			must(t, err)
			must(t, s.Write([]byte("x")))
			pollTimes(t, loop, 2)
			_, _ = unix.Write(theirs.Write, []byte("x")) // EPIPE if the stream has failed already
			pollTimes(t, loop, 1)
			theirs.Close()
			pollTimes(t, loop, 2)
			s.Write([]byte("y"))
			pollTimes(t, loop, 2)
			s.Close()
			pollTimes(t, loop, 2)

			if len(*got) != 1 || len(closed) != 1 {
				t.Fatalf("%d panics, OnClose called %d times", len(*got), len(closed))
			}
			p := (*got)[0]
			if p.Kind != "stream" || !errors.Is(p, errors.ErrUnsupported) {
				t.Errorf("got %v", p)
			}
			if want := from != "OnClose"; (closed[0] == error(p)) != want {
				t.Errorf("OnClose got %v", closed[0])
			}
			pollTimes(t, loop, 1)
		})
	}
}

func TestPanicOfAnotherWatcherLeavesStreamsAlone(t *testing.T) {
	loop, got := panicLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer theirs.Close()
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnData: func([]byte) {}})
	must(t, err)
	theirs.Send(t, []byte("x"))
	loop.OnCheck(func() { panic("on purpose") }).Unref()
	pollTimes(t, loop, 2)
	if len(*got) != 2 || s.Closed() {
		t.Errorf("%d panics, stream closed %v", len(*got), s.Closed())
	}
	s.Close()
	pollTimes(t, loop, 1)
}

func TestPanicSaysWhereItCameFrom(t *testing.T) {
	for want, p := range map[string]*reactor.Panic{
		"reactor: panic in a callback of timer: oops":       {Value: "oops", Kind: "timer", FD: -1},
		"reactor: panic in a callback of stream fd 7: oops": {Value: "oops", Kind: "stream", FD: 7},
	} {
		if p.Error() != want || p.Unwrap() != nil {
			t.Errorf("got %q and %v", p, p.Unwrap())
		}
	}
}

func TestSlowCallbacksAreReportedWithTheirKind(t *testing.T) {
	const threshold = 5 * time.Millisecond
	var got []reactor.SlowCallback
	loop := newLoopWith(t, reactor.Config{
		SlowThreshold: threshold,
		OnSlow:        func(s reactor.SlowCallback) { got = append(got, s) },
	})
	slow := func() { busyUntil(time.Now().Add(threshold)) }
	loop.AfterFunc(0, slow)
	loop.AfterFunc(0, func() {})
	p := readyPipe(t)
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { slow() })
	must(t, loop.Post(slow))
	pollTimes(t, loop, 1)
	want := []reactor.SlowCallback{{Kind: "timer", FD: -1}, {Kind: "fd", FD: p.Read}, {Kind: "post", FD: -1}}
	// The machine may make a quick callback slow; the slow ones are there in any case.
	for _, w := range want {
		if !slices.ContainsFunc(got, func(s reactor.SlowCallback) bool {
			return s.Kind == w.Kind && s.FD == w.FD && s.Took >= threshold
		}) {
			t.Errorf("no report of %v in %v", w, got)
		}
	}
	if stats := loop.Stats(); stats.Slow != uint64(len(got)) {
		t.Errorf("%d counted, %d reported", stats.Slow, len(got))
	}
}

// TestLagIsForHowLongAnIterationKeepsTheLoopFromWaiting: one is long here.
func TestLagIsForHowLongAnIterationKeepsTheLoopFromWaiting(t *testing.T) {
	loop := newLoop(t)
	loop.AfterFunc(0, func() { busyUntil(time.Now().Add(10 * time.Millisecond)) })
	pollTimes(t, loop, 10)
	lag := loop.Stats().Lag
	if lag.Count() != 10 || lag.Quantile(1) < 10*time.Millisecond {
		t.Errorf("%d iterations, the longest below %v", lag.Count(), lag.Quantile(1))
	}
}

func TestQuantileIsABoundForAtLeastThatFraction(t *testing.T) {
	h := reactor.Histogram{0: 1, 3: 2, 5: 1}
	for q, want := range map[float64]time.Duration{
		0: time.Microsecond, 0.25: time.Microsecond, 0.26: 8 * time.Microsecond, 0.75: 8 * time.Microsecond,
		0.76: 32 * time.Microsecond, 1: 32 * time.Microsecond,
	} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	var empty reactor.Histogram
	if empty.Count() != 0 || empty.Quantile(0.5) != 0 {
		t.Error("an empty histogram is not empty")
	}
}
