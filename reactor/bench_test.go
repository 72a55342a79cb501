package reactor_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// One operation per benchmark, and what it costs on an otherwise idle loop.

// BenchmarkPostFrom4Goroutines is 4000 posts, and what runs them.
func BenchmarkPostFrom4Goroutines(b *testing.B) {
	const goroutines, each = 4, 1000
	loop := newLoop(b)
	ran, want := 0, 0
	count := func() { ran++ }
	b.ReportAllocs()
	for b.Loop() {
		var group sync.WaitGroup
		for range goroutines {
			release := loop.Hold()
			group.Go(func() {
				defer release()
				for range each {
					loop.Post(count)
				}
			})
		}
		must(b, loop.Run(context.Background()))
		group.Wait()
		want += goroutines * each
	}
	run(b, loop)
	if ran != want {
		b.Errorf("%d of %d posts ran", ran, want)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(want), "ns/post")
}

// BenchmarkTimerStartStop has 1000 others in the heap.
func BenchmarkTimerStartStop1000(b *testing.B) {
	loop := newLoop(b)
	for i := range 1000 {
		loop.AfterFunc(time.Hour+time.Duration(i)*time.Second, func() {})
	}
	timer := loop.AfterFunc(2*time.Hour, func() {})
	b.ReportAllocs()
	for b.Loop() {
		timer.Stop()
		timer.Start()
	}
}

func BenchmarkTimerReset1000(b *testing.B) {
	loop := newLoop(b)
	for i := range 1000 {
		loop.AfterFunc(time.Hour+time.Duration(i)*time.Second, func() {})
	}
	timer := loop.AfterFunc(2*time.Hour, func() {})
	b.ReportAllocs()
	for b.Loop() {
		timer.Reset(90 * time.Minute)
	}
}

// BenchmarkTimerFire is a whole iteration with one timer that is due.
func BenchmarkTimerFire(b *testing.B) {
	loop := newLoop(b)
	var timer *reactor.Timer
	timer = loop.AfterFunc(0, func() { timer.Start() })
	b.ReportAllocs()
	for b.Loop() {
		must(b, loop.Poll(0))
	}
	timer.Stop()
}

// BenchmarkDispatch is a whole iteration with one descriptor that is ready.
func BenchmarkDispatch(b *testing.B) {
	loop := newLoop(b)
	calls := 0
	watch(b, loop, readyPipe(b).Read, reactor.Read, func(reactor.Ready) { calls++ })
	b.ReportAllocs()
	for b.Loop() {
		must(b, loop.Poll(0))
	}
	if calls == 0 {
		b.Error("never called")
	}
}

func BenchmarkWatcherStartStop(b *testing.B) {
	loop := newLoop(b)
	w := watch(b, loop, pipe(b).Read, reactor.Read, func(reactor.Ready) {})
	b.ReportAllocs()
	for b.Loop() {
		must(b, w.Stop())
		must(b, w.Start())
	}
}

// BenchmarkStreamEcho64 sends 64 bytes through a stream and back: two
// iterations' worth of write, flush and read, and the other end's two calls.
func BenchmarkStreamEcho64(b *testing.B) {
	for _, transport := range fdtest.Transports() {
		b.Run(transport.Name, func(b *testing.B) {
			loop := newLoop(b)
			ours, theirs := transport.Open(b)
			defer theirs.Close()
			got := 0
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnData: func(data []byte) { got += len(data) }})
			must(b, err)
			message := make([]byte, 64)
			sent := 0
			b.ReportAllocs()
			b.SetBytes(64)
			for b.Loop() {
				must(b, s.Write(message))
				must(b, loop.Poll(0)) // leaves at its end
				n, _ := unix.Read(theirs.Read, message)
				unix.Write(theirs.Write, message[:n])
				must(b, loop.Poll(0))
				sent += 64
			}
			if got != sent {
				b.Errorf("%d of %d bytes came back", got, sent)
			}
		})
	}
}
