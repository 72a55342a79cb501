package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// sinkStream returns a stream whose other side takes everything at the end of
// each operation, and how to have it do so.
func sinkStream(b *testing.B, loop *reactor.Loop) (s *reactor.Stream, empty func()) {
	b.Helper()
	r, w := fdtest.Pipe(b)
	s, err := loop.NewStream(-1, w, reactor.StreamConfig{HighWater: 64 << 20})
	must(b, err)
	end := &fdtest.End{Read: r, Write: -1}
	b.Cleanup(end.Close)
	b.Cleanup(s.Close)
	buf := make([]byte, 64<<10)
	return s, func() { end.Receive(b, buf) }
}

// BenchmarkStreamWrite100x64 is 100 writes of 64 bytes in one iteration, and the
// one system call with which they leave.
func BenchmarkStreamWrite100x64(b *testing.B) {
	loop := newLoop(b)
	s, empty := sinkStream(b, loop)
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			must(b, s.Write(message))
		}
		must(b, loop.Poll(0))
		empty()
	}
}

// BenchmarkStreamAppend100x64 encodes in place instead.
func BenchmarkStreamAppend100x64(b *testing.B) {
	loop := newLoop(b)
	s, empty := sinkStream(b, loop)
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			must(b, s.Commit(append(s.AppendBuffer(), message...)))
		}
		must(b, loop.Poll(0))
		empty()
	}
}

// BenchmarkStreamWrite64K is one write that fills the pipe, made in an iteration.
func BenchmarkStreamWrite64K(b *testing.B) {
	loop := newLoop(b)
	s, empty := sinkStream(b, loop)
	message := make([]byte, 64<<10)
	var timer *reactor.Timer
	timer = loop.AfterFunc(0, func() {
		must(b, s.Write(message))
		timer.Start()
	})
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		must(b, loop.Poll(0))
		empty()
	}
	timer.Stop()
}
