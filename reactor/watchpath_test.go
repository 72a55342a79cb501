package reactor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// pathChange is one call of a path watcher.
type pathChange struct{ prev, cur reactor.PathInfo }

// watchPath watches a path at the shortest interval and notes its calls.
func watchPath(t testing.TB, loop *reactor.Loop, path string) (*reactor.PathWatcher, *[]pathChange) {
	t.Helper()
	var changes []pathChange
	p, err := loop.WatchPath(path, time.Nanosecond, func(prev, cur reactor.PathInfo) {
		changes = append(changes, pathChange{prev, cur})
	})
	must(t, err)
	t.Cleanup(p.Stop)
	return p, &changes
}

// write replaces the content of a file.
func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

// until polls until the last call says that the path is as ok wants it.
func until(t testing.TB, loop *reactor.Loop, changes *[]pathChange, ok func(cur reactor.PathInfo) bool) {
	t.Helper()
	pollUntil(t, loop, func() bool { return len(*changes) > 0 && ok((*changes)[len(*changes)-1].cur) })
	for i, c := range *changes {
		if i > 0 && c.prev != (*changes)[i-1].cur {
			t.Errorf("change %d is from %+v, but the last was to %+v", i, c.prev, (*changes)[i-1].cur)
		}
	}
	verify(t, loop)
}

func size(want int64) func(reactor.PathInfo) bool {
	return func(cur reactor.PathInfo) bool { return cur.Exists() && cur.Size == want }
}

func TestPathThatComesGrowsAndGoesIsReported(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	p, changes := watchPath(t, loop, path)
	if p.Path() != path || p.Info().Exists() || p.Info().Err != syscall.ENOENT {
		t.Errorf("watching %s, which is %+v", p.Path(), p.Info())
	}
	write(t, path, "one")
	until(t, loop, changes, size(3))
	if first := (*changes)[0]; first.prev.Exists() || !first.cur.Exists() {
		t.Errorf("first change from %+v to %+v", first.prev, first.cur)
	}
	info, err := os.Stat(path)
	must(t, err)
	if cur := p.Info(); !cur.ModTime.Equal(info.ModTime()) || os.FileMode(cur.Mode&0o777) != info.Mode().Perm() || cur.Links != 1 {
		t.Errorf("got %+v, want %+v", cur, info)
	}
	write(t, path, "and two")
	until(t, loop, changes, size(7))
	must(t, os.Remove(path))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return !cur.Exists() })
	write(t, path, "back")
	until(t, loop, changes, size(4))
}

func TestPathThatIsReplacedIsReportedAndWatchedOn(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "old")
	p, changes := watchPath(t, loop, path)
	old := p.Info().Inode
	write(t, path+".new", "new")
	must(t, os.Rename(path+".new", path))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return cur.Inode != old })
	write(t, path, "longer")
	until(t, loop, changes, size(6))
	must(t, os.Rename(path, path+".old"))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return !cur.Exists() })
}

func TestPathInADirectoryThatComesLaterIsReported(t *testing.T) {
	loop := newLoop(t)
	dir := filepath.Join(t.TempDir(), "dir")
	path := filepath.Join(dir, "file")
	_, changes := watchPath(t, loop, path)
	must(t, os.Mkdir(dir, 0o700))
	write(t, path, "x")
	until(t, loop, changes, size(1))
	must(t, os.RemoveAll(dir))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return !cur.Exists() })
	must(t, os.Mkdir(dir, 0o700))
	write(t, path, "again")
	until(t, loop, changes, size(5))
}

func TestPathThatIsASymbolicLinkStandsForItsTarget(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	link, a, b := filepath.Join(dir, "link"), filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "a")
	write(t, b, "bb")
	must(t, os.Symlink(a, link))
	_, changes := watchPath(t, loop, link)
	write(t, a, "aaa")
	until(t, loop, changes, size(3))
	must(t, os.Symlink(b, link+".new"))
	must(t, os.Rename(link+".new", link))
	until(t, loop, changes, size(2))
	must(t, os.Remove(b))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return !cur.Exists() }) // dangling
}

func TestPathOfADirectoryReportsItsEntries(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	_, changes := watchPath(t, loop, dir)
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return cur.Mode&unix.S_IFMT == unix.S_IFDIR })
}

func TestChangeOfAttributesIsReported(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "x")
	_, changes := watchPath(t, loop, path)
	must(t, os.Chmod(path, 0o640))
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return cur.Mode&0o777 == 0o640 })
}

func TestWatchersOfOnePathAreIndependent(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "x")
	first, firstChanges := watchPath(t, loop, path)
	_, secondChanges := watchPath(t, loop, path)
	write(t, path, "xx")
	until(t, loop, firstChanges, size(2))
	until(t, loop, secondChanges, size(2))
	first.Stop()
	first.Stop() // harmless
	verify(t, loop)
	*firstChanges = nil
	write(t, path, "xxx")
	until(t, loop, secondChanges, size(3))
	if len(*firstChanges) > 0 {
		t.Error("called after Stop")
	}
	must(t, first.Start())
	write(t, path, "xxxx")
	until(t, loop, firstChanges, size(4))
	if prev := (*firstChanges)[0].prev; prev.Size < 3 {
		t.Errorf("Start did not take a new look: the change is from %+v", prev)
	}
}

func TestPathWatcherStoppedInItsCallbackIsNotCalledAgain(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	calls := 0
	var p *reactor.PathWatcher
	p, err := loop.WatchPath(path, 0, func(prev, cur reactor.PathInfo) {
		calls++
		p.Stop()
	})
	must(t, err)
	must(t, p.Feed())
	run(t, loop)
	write(t, path, "x")
	pollTimes(t, loop, 3)
	if calls != 1 || p.Active() {
		t.Errorf("called %d times, active %v", calls, p.Active())
	}
	wantErr(t, p.Feed(), reactor.ErrNotActive)
}

func TestUnreferencedPathWatcherDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	p, _ := watchPath(t, loop, t.TempDir())
	p.Unref()
	run(t, loop)
}

func TestPathsThatCannotBeWatchedAreRefused(t *testing.T) {
	loop := newLoop(t)
	never := func(prev, cur reactor.PathInfo) { t.Error("called") }
	for _, path := range []string{"", "a\x00b"} {
		_, err := loop.WatchPath(path, 0, never)
		wantErr(t, err, reactor.ErrInvalid)
	}
	_, err := loop.WatchPath("x", -1, never)
	wantErr(t, err, reactor.ErrInvalid)
	must(t, loop.Close())
	_, err = loop.WatchPath("x", 0, never)
	wantErr(t, err, reactor.ErrClosed)
}

func TestCloseEndsPathWatchers(t *testing.T) {
	loop := newLoop(t)
	p, _ := watchPath(t, loop, t.TempDir())
	must(t, loop.Close())
	if p.Active() {
		t.Error("active after Close")
	}
	wantErr(t, p.Start(), reactor.ErrClosed)
}

// TestPathIsLookedAtAtItsInterval: without hints there is nothing else. The
// clock is the test's, so no time passes for the hints to be in.
func TestPathIsLookedAtAtItsInterval(t *testing.T) {
	clock := &twoClocks{wall: noon}
	loop := newLoopWith(t, reactor.Config{Clock: clock})
	path := filepath.Join(t.TempDir(), "file")
	calls := 0
	_, err := loop.WatchPath(path, time.Second, func(prev, cur reactor.PathInfo) { calls++ })
	must(t, err)
	loop.ClosePathHints()
	write(t, path, "x")
	clock.pass(time.Second - 1)
	wantCalls(t, loop, &calls, 0)
	clock.pass(1)
	wantCalls(t, loop, &calls, 1)
	clock.pass(time.Second)
	wantCalls(t, loop, &calls, 0)
}
