package reactor_test

import (
	"runtime"
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
)

// heapInUse is what the program holds, without what only pools hold: these are
// emptied by two collections.
func heapInUse() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestStreamsHoldNothingAfterABurst: all of many streams have had a large backlog
// at the same time, and are idle again. What the loop keeps for its next writes
// does not grow with their number.
func TestStreamsHoldNothingAfterABurst(t *testing.T) {
	const streams, most = 50, 1024
	loop := newLoop(t)
	var links []*link
	for i := range 1 + streams {
		links = append(links, newLink(t, loop, fdtest.Transports()[i%2], nil))
	}
	backlog := make([]byte, 1<<20)
	all := func(links []*link) {
		received := 0
		for _, l := range links {
			must(t, l.stream.Write(backlog))
		}
		pollUntil(t, loop, func() bool {
			for _, l := range links {
				data, _ := l.peer.Available(t)
				received += len(data)
			}
			return received == len(links)*len(backlog)
		})
		pollTimes(t, loop, 3)
	}
	all(links[:1])
	before := heapInUse()
	all(links[1:])
	after := heapInUse()
	runtime.KeepAlive(links)
	runtime.KeepAlive(backlog)
	if grown := int64(after) - int64(before); grown > streams*most {
		t.Errorf("%d bytes are held for each of %d idle streams", grown/streams, streams)
	}
}
