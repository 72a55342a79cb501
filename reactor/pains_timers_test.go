package reactor_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// TestTimersAreNeverEarlyByANanosecond compares with the kernel's clock, as the
// waiting process would, for delays of no round number and started at any time.
func TestTimersAreNeverEarlyByANanosecond(t *testing.T) {
	loop := newLoop(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	left := 300
	var start func()
	start = func() {
		if left--; left < 0 {
			return
		}
		d := time.Duration(rnd.IntN(int(3 * time.Millisecond)))
		began := monotonic(t)
		loop.AfterFunc(d, func() {
			if took := monotonic(t) - began; took < d {
				t.Errorf("%d ns fired after %d", d, took)
			}
			start()
		})
	}
	for range 5 {
		start()
	}
	run(t, loop)
}

// TestTimerFiresAtItsNanosecondAndNotBefore: on a clock that the test moves.
func TestTimerFiresAtItsNanosecondAndNotBefore(t *testing.T) {
	const day = 24 * time.Hour
	for _, d := range []time.Duration{
		1, 999, time.Millisecond + 1, time.Second - 1,
		// 24.8 days are 2^31 ms, 49.7 days 2^32 ms.
		math.MaxInt32*time.Millisecond - 1, math.MaxInt32 * time.Millisecond, (math.MaxInt32+1)*time.Millisecond + 1,
		25 * day, math.MaxUint32 * time.Millisecond, (math.MaxUint32+1)*time.Millisecond + 1,
		100 * 365 * day, math.MaxInt64,
	} {
		t.Run(fmt.Sprint(int64(d)), func(t *testing.T) {
			loop, clock := newHandLoop(t)
			fired := 0
			loop.AfterFunc(d, func() { fired++ })
			for _, early := range []time.Duration{d, max(d/2, 1), 1} {
				clock.now = d - early
				pollTimes(t, loop, 2)
				if fired != 0 {
					t.Fatalf("fired %d ns early", early)
				}
			}
			clock.now = d
			pollTimes(t, loop, 2)
			if fired != 1 {
				t.Errorf("fired %d times when it was due", fired)
			}
		})
	}
}

// TestTimeoutsBeyondTheKernelsRangeDoNotSpin: a wait of 25 days, of 136 years and
// of all the time there is.
func TestTimeoutsBeyondTheKernelsRangeDoNotSpin(t *testing.T) {
	for _, d := range []time.Duration{25 * 24 * time.Hour, math.MaxUint32 * time.Second, math.MaxInt64 - 1, math.MaxInt64} {
		loop := newLoop(t)
		loop.AfterFunc(d, func() { t.Errorf("%v is over", d) })
		before := loop.Stats().Iterations
		woken := make(chan error)
		release := loop.Hold()
		loop.Post(func() { // from another goroutine, when the loop sleeps or soon will
			go func() {
				time.Sleep(10 * time.Millisecond) // the time in which it may spin
				woken <- loop.Post(loop.Stop)
			}()
		})
		run(t, loop)
		must(t, <-woken)
		release()
		if n := loop.Stats().Iterations - before; n > 10 {
			t.Errorf("%d iterations while it waited for %v", n, d)
		}
	}
}

func TestHundredThousandTimersOfOneDeadlineFireInStartOrder(t *testing.T) {
	loop, clock := newHandLoop(t)
	const count = 100_000
	next := 0
	for i := range count {
		loop.AfterFunc(time.Millisecond, func() {
			if i != next {
				t.Fatalf("number %d fired in place %d", i, next)
			}
			next++
		})
	}
	clock.now = time.Millisecond
	pollUntil(t, loop, func() bool { return next == count })
	if at, ok := loop.NextDeadline(); ok {
		t.Errorf("something is left for %v", at)
	}
}

// TestTimerFiresOnceAfterAnOverrunOfTenPeriods, and goes on in its old phase.
func TestTimerFiresOnceAfterAnOverrunOfTenPeriods(t *testing.T) {
	loop, clock := newHandLoop(t)
	const first, period = 7 * time.Millisecond, 10 * time.Millisecond
	fired := 0
	timer := loop.Every(first, period, func() { fired++ })
	steps := []struct {
		at   time.Duration
		want int
	}{
		{first, 1},
		{first + 10*period + period/2, 2}, // ten were due
		{first + 11*period - 1, 2},
		{first + 11*period, 3},
		{first + 31*period, 4}, // on the beat: that one is among the twenty
		{first + 32*period - 1, 4},
		{first + 32*period, 5},
	}
	for _, step := range steps {
		clock.now = step.at
		pollTimes(t, loop, 3)
		if fired != step.want {
			t.Errorf("at %v it has fired %d times, want %d", step.at, fired, step.want)
		}
	}
	timer.Stop()
}

// TestTimersChangedFromCallbacksOfTheirBatch: two timers are due at once, and the
// first does something to itself or to the second, which is pending. When each
// fires from then on, in milliseconds, is what libev's rules say.
func TestTimersChangedFromCallbacksOfTheirBatch(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name          string
		change        func(own, other *reactor.Timer)
		own, theOther string // when they fire after the 10th
	}{
		{"nothing", func(_, _ *reactor.Timer) {}, "[10 20 30 40]", "[10 20 30 40]"},
		{"stops itself", func(own, _ *reactor.Timer) { own.Stop() }, "[10]", "[10 20 30 40]"},
		{"stops the other", func(_, other *reactor.Timer) { other.Stop() }, "[10 20 30 40]", "[]"},
		{"restarts itself", func(own, _ *reactor.Timer) { own.Stop(); own.Start() }, "[10 20 30 40]", "[10 20 30 40]"},
		{"restarts the other", func(_, other *reactor.Timer) { other.Stop(); other.Start() }, "[10 20 30 40]", "[20 30 40]"},
		{"own again", func(own, _ *reactor.Timer) { own.Again() }, "[10 20 30 40]", "[10 20 30 40]"},
		{"the other again", func(_, other *reactor.Timer) { other.Again() }, "[10 20 30 40]", "[20 30 40]"},
		{"own reset", func(own, _ *reactor.Timer) { own.Reset(5 * ms) }, "[10 15 25 35]", "[10 20 30 40]"},
		{"the other reset", func(_, other *reactor.Timer) { other.Reset(5 * ms) }, "[10 20 30 40]", "[15 25 35]"},
		{"own for ever", func(own, _ *reactor.Timer) { own.Reset(math.MaxInt64) }, "[10]", "[10 20 30 40]"},
		{"own becomes one-shot", func(own, _ *reactor.Timer) { own.SetPeriod(0); own.Again() }, "[10]", "[10 20 30 40]"},
		{"feeds the other", func(_, other *reactor.Timer) { _ = other.Feed() }, "[10 20 30 40]", "[10 20 30 40]"},
		{"feeds itself", func(own, _ *reactor.Timer) { _ = own.Feed() }, "[10 10 20 30 40]", "[10 20 30 40]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loop, clock := newHandLoop(t)
			var own, other *reactor.Timer
			ownAt, otherAt := []int64{}, []int64{}
			own = loop.Every(10*ms, 10*ms, func() {
				ownAt = append(ownAt, clock.now.Milliseconds())
				if len(ownAt) == 1 {
					c.change(own, other)
					verify(t, loop)
				}
			})
			other = loop.Every(10*ms, 10*ms, func() { otherAt = append(otherAt, clock.now.Milliseconds()) })
			for clock.now = 0; clock.now < 45*ms; clock.now += ms {
				pollTimes(t, loop, 2)
			}
			if got := fmt.Sprint(ownAt); got != c.own {
				t.Errorf("it fired at %s, want %s", got, c.own)
			}
			if got := fmt.Sprint(otherAt); got != c.theOther {
				t.Errorf("the other fired at %s, want %s", got, c.theOther)
			}
			own.Stop()
			other.Stop()
		})
	}
}

// TestZeroTimersThatRestartEachOtherStarveNobody: a chain that never ends, in one
// iteration or in many.
func TestZeroTimersThatRestartEachOtherStarveNobody(t *testing.T) {
	loop := newLoop(t)
	const chains = 5000 // more than one iteration fires
	fired, ready, posted := 0, 0, 0
	for range chains {
		var a, b *reactor.Timer
		a = loop.AfterFunc(0, func() { fired++; b.Start() })
		b = loop.AfterFunc(0, func() { fired++; a.Start() })
	}
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	for range 20 {
		must(t, loop.Post(func() { posted++ }))
		pollTimes(t, loop, 1)
	}
	if ready != 20 || posted != 20 || fired < 2*chains {
		t.Errorf("in 20 iterations the descriptor was called %d times, posts %d, timers %d", ready, posted, fired)
	}
}

// monotonic reads the kernel's monotonic clock.
func monotonic(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	must(t, unix.ClockGettime(clockMonotonic, &ts))
	return time.Duration(ts.Nano())
}
