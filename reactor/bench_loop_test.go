package reactor_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// What the loop costs with much to do; bench/ has the same beside other loops.

// BenchmarkRing is the ring of libevent's benchmark: every byte that is read is
// written to the next socketpair.
func BenchmarkRing(b *testing.B) {
	b.Run("1000pairs100active", func(b *testing.B) { benchmarkRing(b, 1000, 100, 10_000) })
	b.Run("100pairs1active", func(b *testing.B) { benchmarkRing(b, 100, 1, 1000) })
}

func benchmarkRing(b *testing.B, size, active, writes int) {
	loop := newLoop(b)
	pairs := make([]*fdtest.End, size)
	var buffer [1]byte
	left, sent, received := 0, 0, 0
	send := func(i int) {
		if n, err := unix.Write(pairs[i].Write, buffer[:]); n != 1 {
			b.Fatalf("write: %d, %v", n, err)
		}
		sent++
	}
	for i := range pairs {
		pairs[i] = pipe(b)
		watch(b, loop, pairs[i].Read, reactor.Read, func(reactor.Ready) {
			if n, err := unix.Read(pairs[i].Read, buffer[:]); n != 1 {
				b.Fatalf("read: %d, %v", n, err)
			}
			received++
			if left > 0 {
				left--
				send((i + 1) % size)
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		left = writes
		for i := range active {
			send(i * (size / active))
		}
		must(b, loop.RunUntil(context.Background(), func() bool { return received == sent }))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(received), "ns/event")
}

// benchmarkTimers is how many timers are in the heap.
const benchmarkTimers = 1_000_000

// spread gives deadlines that come in no order, within a second an hour from now.
func spread(i int) time.Duration {
	return time.Hour + time.Duration(uint64(i)*11400714819323198485%uint64(time.Second))
}

func loopTimers(b *testing.B, loop *reactor.Loop) []*reactor.Timer {
	timers := make([]*reactor.Timer, benchmarkTimers)
	for i := range timers {
		timers[i] = loop.AfterFunc(spread(i), func() {})
	}
	b.Cleanup(func() {
		for _, timer := range timers {
			timer.Stop()
		}
	})
	return timers
}

func BenchmarkTimerStartStop1M(b *testing.B) {
	loop := newLoop(b)
	timers := loopTimers(b, loop)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		timer := timers[i%len(timers)]
		timer.Stop()
		timer.Start()
		i++
	}
}

func BenchmarkTimerReset1M(b *testing.B) {
	loop := newLoop(b)
	timers := loopTimers(b, loop)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		timers[i%len(timers)].Reset(spread(7 * i))
		i++
	}
}

// BenchmarkTimerFire1000 is an iteration that fires a thousand timers, re-armed
// between iterations.
func BenchmarkTimerFire1000(b *testing.B) {
	loop := newLoop(b)
	fired := 0
	timers := make([]*reactor.Timer, 1000)
	for i := range timers {
		timers[i] = loop.AfterFunc(0, func() { fired++ })
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b, loop.Poll(0))
		for _, timer := range timers {
			timer.Reset(0)
		}
	}
	if fired == 0 {
		b.Error("none has fired")
	}
	for _, timer := range timers {
		timer.Stop()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(fired), "ns/timer")
}

// BenchmarkPostAwake is a post to a loop that is not asleep, and running it.
func BenchmarkPostAwake(b *testing.B) {
	loop := newLoop(b)
	posts := 0
	var next func()
	next = func() {
		if posts++; b.Loop() {
			loop.Post(next)
		}
	}
	b.ReportAllocs()
	must(b, loop.Post(next))
	run(b, loop)
	if posts != b.N+1 {
		b.Errorf("%d posts ran in %d operations", posts, b.N)
	}
}
