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
	calls := 0
	p, err := loop.WatchPath(path, time.Hour, func(reactor.PathInfo, reactor.PathInfo) { calls++ })
	must(t, err)
	defer p.Stop()
	must(t, loop.Post(func() { // as the interval and a hint do, if others change the path between them
		must(t, os.WriteFile(path, nil, 0o600))
		p.Look()
		must(t, os.Remove(path))
		p.Look()
	}))
	pollTimes(t, loop, 3)
	if calls != 0 {
		t.Errorf("called %d times", calls)
	}
	must(t, p.Feed()) // calls all the same
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("fed, and called %d times", calls)
	}
}
