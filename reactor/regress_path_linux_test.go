package reactor_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// TestPathThatComesAndGoesWithinAnIterationIsNoChange: two looks in one iteration, of which the
// first found a file and the second none, were reported as a change from nothing to nothing.
func TestPathThatComesAndGoesWithinAnIterationIsNoChange(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	var p *reactor.PathWatcher
	calls, removed := 0, false
	ready := readyPipe(t) // watched before the hints, so that it is called before them
	w := watch(t, loop, ready.Read, reactor.Read, func(reactor.Ready) {
		if !removed && p.Pending() { // the interval's look has found it; the hint is still to be read
			removed = true
			must(t, os.Remove(path))
		}
	})
	p, err := loop.WatchPath(path, 100*time.Millisecond, func(reactor.PathInfo, reactor.PathInfo) { calls++ })
	must(t, err)
	defer p.Stop()
	pollTimes(t, loop, 2)
	must(t, os.WriteFile(path, nil, 0o600))
	busyUntil(time.Now().Add(110 * time.Millisecond)) // until the interval has passed, too
	pollUntil(t, loop, func() bool { return calls > 0 || removed })
	must(t, w.Stop())
	pollTimes(t, loop, 3)
	if !removed {
		t.Skip("the hint came before the interval's look")
	}
	if calls != 0 {
		t.Errorf("called %d times", calls)
	}
	must(t, p.Feed()) // calls all the same
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("fed, and called %d times", calls)
	}
}
