package reactor_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// TestPathOfHigherPriorityIsCalledFirst: it was called after everything of priority 0, since that is what its look at the path had.
func TestPathOfHigherPriorityIsCalledFirst(t *testing.T) {
	loop, clock := newHandLoop(t)
	var calls []string
	path := filepath.Join(t.TempDir(), "file")
	p, err := loop.WatchPath(path, 0, func(reactor.PathInfo, reactor.PathInfo) { calls = append(calls, "path") })
	must(t, err)
	must(t, p.SetPriority(1))
	ready := readyPipe(t)
	watch(t, loop, ready.Read, reactor.Read, func(reactor.Ready) { calls = append(calls, "descriptor") })
	write(t, path, "x")
	clock.now += 5 * time.Second
	pollTimes(t, loop, 1)
	if want := []string{"path", "descriptor"}; !slices.Equal(calls, want) {
		t.Errorf("got %v, want %v", calls, want)
	}
	p.Stop()
}

// TestIdleHookIsCalledAboveTheExitOfAProcess: what tells of an exit has the highest priority, whichever the process's watcher has, and
// locked out idle hooks of any.
func TestIdleHookIsCalledAboveTheExitOfAProcess(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cat, stdin := startCat(t)
		idle, exited := 0, false
		hook := loop.OnIdle(func() { idle++ })
		must(t, hook.SetPriority(1))
		_, err := loop.WatchProcess(cat.Process.Pid, func() { exited = true })
		must(t, err)
		must(t, stdin.Close())
		iterations := 0
		pollUntil(t, loop, func() bool {
			iterations++
			return exited
		})
		if iterations-1 != idle {
			t.Errorf("the idle hook was called in %d of %d iterations", idle, iterations-1)
		}
		hook.Stop()
		must(t, cat.Wait())
	})
}

// TestIdleHookIsCalledAlthoughNeighboursOfAPathChange: of which no watcher is told.
func TestIdleHookIsCalledAlthoughNeighboursOfAPathChange(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	p, err := loop.WatchPath(filepath.Join(dir, "file"), 0, func(reactor.PathInfo, reactor.PathInfo) { t.Error("called") })
	must(t, err)
	idle := 0
	hook := loop.OnIdle(func() { idle++ })
	write(t, filepath.Join(dir, "neighbour"), "x")
	pollTimes(t, loop, 3)
	if idle != 3 {
		t.Errorf("the idle hook was called in %d of 3 iterations", idle)
	}
	hook.Stop()
	p.Stop()
}
