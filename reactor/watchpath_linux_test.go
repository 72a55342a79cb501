package reactor_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// hinted watches a path with an interval that no test waits for, so that only
// hints can be why it is called.
func hinted(t testing.TB, loop *reactor.Loop, path string) *[]pathChange {
	t.Helper()
	var changes []pathChange
	p, err := loop.WatchPath(path, time.Hour, func(prev, cur reactor.PathInfo) {
		changes = append(changes, pathChange{prev, cur})
	})
	must(t, err)
	t.Cleanup(p.Stop)
	return &changes
}

func TestHintsReportChangesWithoutTheInterval(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	changes := hinted(t, loop, path)
	write(t, path, "x") // into being
	until(t, loop, changes, size(1))
	write(t, path, "xx") // content
	until(t, loop, changes, size(2))
	must(t, os.Chmod(path, 0o640)) // attributes
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return cur.Mode&0o777 == 0o640 })
	write(t, path+".new", "xxx") // replacement
	must(t, os.Rename(path+".new", path))
	until(t, loop, changes, size(3))
	write(t, path, "xxxx") // content of the replacement
	until(t, loop, changes, size(4))
	must(t, os.Remove(path)) // out of being
	until(t, loop, changes, func(cur reactor.PathInfo) bool { return !cur.Exists() })
	write(t, path, "xxxxx") // and back
	until(t, loop, changes, size(5))
}

// TestOverwritingWithTheSameSizeIsNotLost: size and, on many kernels, time are
// what they were, since less than a tick has passed.
func TestOverwritingWithTheSameSizeIsNotLost(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	changes := hinted(t, loop, path)
	for i := range 200 {
		calls := len(*changes)
		_, err := f.WriteAt([]byte{byte(i)}, 0)
		must(t, err)
		pollUntil(t, loop, func() bool { return len(*changes) > calls })
	}
}

// TestOverwritingWithinOneTickIsReported is the same on a kernel that has the
// coarse times, whichever this one has.
func TestOverwritingWithinOneTickIsReported(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "x")
	var changes []pathChange
	p, err := loop.WatchPath(path, time.Hour, func(prev, cur reactor.PathInfo) {
		changes = append(changes, pathChange{prev, cur})
	})
	must(t, err)
	must(t, loop.Post(p.OverwriteWithinTick))
	pollTimes(t, loop, 2)
	if len(changes) != 1 || changes[0].prev != changes[0].cur || changes[0].cur.Size != 1 {
		t.Errorf("got %+v", changes)
	}
	p.Stop()
}

// TestChangeThatStatDoesNotShowIsReported: of two entries that came into a directory within a tick the second went unseen, and so did
// a file that had replaced another, and got its inode, and an extended attribute.
func TestChangeThatStatDoesNotShowIsReported(t *testing.T) {
	for name, change := range map[string]func(*reactor.PathWatcher){
		"entry": (*reactor.PathWatcher).EntryWithinTick, "replaced": (*reactor.PathWatcher).ReplaceWithinTick,
		"attribute": (*reactor.PathWatcher).AttributeWithinTick,
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			var changes []pathChange
			p, err := loop.WatchPath(t.TempDir(), time.Hour, func(prev, cur reactor.PathInfo) {
				changes = append(changes, pathChange{prev, cur})
			})
			must(t, err)
			must(t, loop.Post(func() { change(p) }))
			pollTimes(t, loop, 2)
			if len(changes) != 1 || changes[0].prev != changes[0].cur {
				t.Errorf("got %+v", changes)
			}
			p.Stop()
		})
	}
}

// TestNeighboursDoNotCauseCalls: neither of a file, nor what happens to the
// content of a directory's entries.
func TestNeighboursDoNotCauseCalls(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	neighbour := filepath.Join(dir, "neighbour")
	write(t, neighbour, "x")
	write(t, filepath.Join(dir, "file"), "x")
	file := hinted(t, loop, filepath.Join(dir, "file"))
	directory := hinted(t, loop, dir)
	write(t, neighbour, "xx")
	must(t, os.Chmod(neighbour, 0o640))
	pollTimes(t, loop, 5)
	if len(*file)+len(*directory) > 0 {
		t.Errorf("%d and %d calls", len(*file), len(*directory))
	}
	write(t, filepath.Join(dir, "another"), "x")
	pollUntil(t, loop, func() bool { return len(*directory) > 0 })
	if len(*file) > 0 {
		t.Errorf("%d calls for another file", len(*file))
	}
	verify(t, loop)
}

// TestPathsOfOneInodeKeepEachOthersHints: the kernel has one watch for a directory
// that is watched itself and for a file in it, and would take the last mask.
func TestPathsOfOneInodeKeepEachOthersHints(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	directory := hinted(t, loop, dir)
	hinted(t, loop, filepath.Join(dir, "file"))
	must(t, os.Chmod(dir, 0o750))
	until(t, loop, directory, func(cur reactor.PathInfo) bool { return cur.Mode&0o777 == 0o750 })
}

func TestOverflowOfTheHintsMakesTheLoopLookAtAllPaths(t *testing.T) {
	loop := newLoop(t)
	path := filepath.Join(t.TempDir(), "file")
	changes := hinted(t, loop, path)
	loop.DropPathHints()
	write(t, path, "x")
	pollTimes(t, loop, 3)
	if len(*changes) > 0 {
		t.Fatal("the hint was not dropped, so this proves nothing")
	}
	must(t, loop.Post(loop.OverflowPathHints))
	pollTimes(t, loop, 1)
	if len(*changes) != 1 {
		t.Errorf("%d calls", len(*changes))
	}
}
