package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestReaderThatNeverReadsBoundsMemory: one side sends without end, the other does
// not read, and what lies in between holds no more than the high-water mark and
// one read, while another stream of the loop goes on. When the reader wakes up,
// it gets everything, in order.
func TestReaderThatNeverReadsBoundsMemory(t *testing.T) {
	const high, oneRead, size = 128 << 10, reactor.ReadBufferSize, 4 << 20
	for _, transport := range fdtest.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			var from, to *link
			from = newLink(t, loop, transport, func(*link) reactor.StreamConfig {
				return reactor.StreamConfig{OnData: func(data []byte) {
					must(t, to.stream.Write(data))
					if to.stream.Congested() {
						must(t, from.stream.Pause())
					}
				}}
			})
			to = newLink(t, loop, transport, func(*link) reactor.StreamConfig {
				return reactor.StreamConfig{HighWater: high, OnDrain: func() { must(t, from.stream.Resume()) }}
			})
			other := newLink(t, loop, transport, func(l *link) reactor.StreamConfig {
				return reactor.StreamConfig{OnData: func(data []byte) { must(t, l.stream.Write(data)) }}
			})

			out, echoes := source{left: size}, 0
			for range 100 {
				out.advance(from.peer.Offer(t, out.peek(32<<10)))
				other.peer.Send(t, []byte("x"))
				pollTimes(t, loop, 1)
				if data, _ := other.peer.Available(t); len(data) == 1 {
					echoes++
				}
				if n := to.stream.Buffered(); n > high+oneRead {
					t.Fatalf("%d bytes are queued, the mark is %d", n, high)
				}
			}
			if !from.stream.Paused() || out.left == 0 {
				t.Errorf("paused %v with %d bytes left: nothing was tested", from.stream.Paused(), out.left)
			}
			if echoes != 100 {
				t.Errorf("the other stream answered in %d of 100 iterations", echoes)
			}

			var in sink
			pollUntil(t, loop, func() bool {
				out.advance(from.peer.Offer(t, out.peek(32<<10)))
				data, _ := to.peer.Available(t)
				in.take(t, data)
				if n := to.stream.Buffered(); n > high+oneRead {
					t.Fatalf("%d bytes are queued, the mark is %d", n, high)
				}
				return in.got == size || t.Failed()
			})
		})
	}
}
