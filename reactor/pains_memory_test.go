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

// TestStreamsHoldNothingAfterABurst: each of many streams has had a large backlog
// and is idle again.
func TestStreamsHoldNothingAfterABurst(t *testing.T) {
	const streams = 50
	loop := newLoop(t)
	var links []*link
	received := make([]int, streams)
	for i := range streams {
		l := newLink(t, loop, fdtest.Transports()[i%2], nil)
		links = append(links, l)
	}
	size := 1 << 20
	burst := make([]byte, size)
	before := heapInUse()
	for _, l := range links {
		must(t, l.stream.Write(burst))
	}
	pollUntil(t, loop, func() bool {
		done := true
		for i, l := range links {
			data, _ := l.peer.Available(t)
			received[i] += len(data)
			done = done && received[i] == size
		}
		return done
	})
	pollTimes(t, loop, 3)
	after := heapInUse()
	runtime.KeepAlive(links)
	runtime.KeepAlive(burst)
	if grown := int64(after) - int64(before); grown > streams*1024 {
		t.Errorf("%d bytes are held for each of %d idle streams", grown/streams, streams)
	}
}
