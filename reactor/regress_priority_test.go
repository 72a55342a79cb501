package reactor_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
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
func TestIdleHookIsCalledAboveTheExitOfAProcess(t *testing.T) { idleAboveAnExit(t, 1, 0) }

// TestIdleHookIsCalledAboveTheExitOfAProcessOfLowPriority: that of SIGCHLD comes by a post, which counted as something of priority 0.
func TestIdleHookIsCalledAboveTheExitOfAProcessOfLowPriority(t *testing.T) { idleAboveAnExit(t, 0, -1) }

func idleAboveAnExit(t *testing.T, ofHook, ofProcess int) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cat, stdin := startCat(t)
		idle, exited, iterations := 0, false, 0
		hook := loop.OnIdle(func() { idle++ })
		must(t, hook.SetPriority(ofHook))
		w, err := loop.WatchProcess(cat.Process.Pid, func() { exited = true })
		must(t, err)
		must(t, w.SetPriority(ofProcess))
		must(t, stdin.Close())
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

// TestIdleHookIsCalledAboveWhatComesByWayOfGoroutines: the loop's own post, which brings it, counted as one of a program's, that is as of
// priority 0.
func TestIdleHookIsCalledAboveWhatComesByWayOfGoroutines(t *testing.T) {
	for name, send := range map[string]func(*testing.T, *reactor.Loop, func()) prioritised{
		"async": func(t *testing.T, loop *reactor.Loop, fn func()) prioritised {
			a := loop.NewAsync(fn)
			must(t, a.Send())
			return a
		},
		"signal": func(t *testing.T, loop *reactor.Loop, fn func()) prioritised {
			s, err := loop.WatchSignal(unix.SIGUSR1, fn)
			must(t, err)
			must(t, unix.Kill(unix.Getpid(), unix.SIGUSR1))
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			called, idle, iterations := false, 0, 0
			must(t, send(t, loop, func() { called = true }).SetPriority(-1))
			hook := loop.OnIdle(func() { idle++ })
			pollUntil(t, loop, func() bool {
				iterations++
				return called
			})
			if iterations-1 != idle {
				t.Errorf("the idle hook was called in %d of %d iterations", idle, iterations-1)
			}
			must(t, hook.SetPriority(-1))
			must(t, loop.Post(func() {}))
			pollTimes(t, loop, 1)
			if iterations-1 != idle {
				t.Error("the idle hook of priority -1 was called in spite of a post")
			}
			hook.Stop()
		})
	}
}

// TestIdleHookIsCalledThoughTheLoopLooksForJumps: of which nobody is told.
func TestIdleHookIsCalledThoughTheLoopLooksForJumps(t *testing.T) {
	loop, clock := clockLoop(t)
	at := loop.At(noon.Add(time.Hour), func() { t.Error("called") })
	idle := 0
	hook := loop.OnIdle(func() { idle++ })
	clock.pass(30 * time.Second)
	pollTimes(t, loop, 1)
	if idle != 1 {
		t.Error("the idle hook was not called")
	}
	hook.Stop()
	at.Stop()
}

// TestIdleHookIsCalledThoughAStreamLooksForTimeouts: none has passed, since there was an activity.
func TestIdleHookIsCalledThoughAStreamLooksForTimeouts(t *testing.T) {
	loop, clock := newHandLoop(t)
	ours, theirs := fdtest.Pipe(t)
	defer unix.Close(theirs)
	s, err := loop.NewStream(ours, -1, reactor.StreamConfig{OnTimeout: func(reactor.Timeout) { t.Error("called") }})
	must(t, err)
	s.SetReadTimeout(time.Second)
	clock.now += time.Second / 2
	_, err = unix.Write(theirs, []byte("x"))
	must(t, err)
	pollTimes(t, loop, 1)
	idle := 0
	hook := loop.OnIdle(func() { idle++ })
	clock.now += time.Second / 2
	pollTimes(t, loop, 1)
	if idle != 1 {
		t.Error("the idle hook was not called")
	}
	hook.Stop()
}

// TestIdleHookIsCalledThoughNoWallClockTimeHasCome: the clock was set back before timers of which some, or all, were to look at it.
func TestIdleHookIsCalledThoughNoWallClockTimeHasCome(t *testing.T) {
	for _, others := range []struct{ none, same, lower bool }{{none: true}, {same: true}, {lower: true}} {
		loop, clock := clockLoop(t)
		early := 0
		for _, priority := range []int{0, 0, 1} {
			at := loop.At(noon.Add(time.Second), func() { early++ })
			must(t, at.SetPriority(priority))
			defer at.Stop()
		}
		idle := 0
		hook := loop.OnIdle(func() { idle++ })
		switch {
		case others.same:
			loop.AfterFunc(time.Second, func() {})
		case others.lower:
			must(t, loop.AfterFunc(time.Second, func() {}).SetPriority(-1))
		}
		clock.pass(time.Second)
		clock.wall = noon
		pollTimes(t, loop, 1)
		if want := !others.same; early > 0 || idle > 0 != want {
			t.Errorf("%+v: the idle hook was called %d times, watchers of the wall clock %d times", others, idle, early)
		}
		hook.Stop()
	}
}
