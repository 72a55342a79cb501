package reactor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A closed descriptor causes at most one stale event per batch, and none
	// in the next. This many iterations in a row mean a registration that the
	// kernel keeps for a duplicate (dup, or one inherited by a child) of a
	// descriptor that was closed before its watcher was stopped. It would spin.
	staleIterations = 8

	// rebuildInterval keeps a program that leaks all the time from spending it
	// all on rebuilding: registering n descriptors costs n syscalls.
	rebuildInterval = int64(100 * time.Millisecond)
)

// staleGuard notices stale events that will not stop and rebuilds the poller's
// set from what the loop knows.
type staleGuard struct {
	streak  int   // iterations in a row that saw a stale event
	rebuilt int64 // when last, loop time
	wanting []int // descriptors that the rebuilt set had no room for
}

func (g *staleGuard) init() { g.rebuilt = -rebuildInterval }

func (g *staleGuard) observe(l *Loop, stale bool) {
	if !stale {
		g.streak = 0
		return
	}
	g.streak++
	if g.streak >= staleIterations && l.now-g.rebuilt >= rebuildInterval {
		g.streak = 0
		g.rebuilt = l.now
		l.rebuild()
	}
}

// rebuild registers everything again in an empty set. A descriptor that was
// closed behind the loop's back cannot be: its watchers fall silent.
func (l *Loop) rebuild() {
	l.stats.Rebuilds++
	if err := l.poller.Rebuild(); err != nil {
		return // the old set goes on working, and spinning; tried again later
	}
	for fd := range l.slots {
		if s := &l.slots[fd]; s.kernel != 0 {
			s.kernel = 0
			l.restore(fd)
		}
	}
	l.restoreLater()
}

// restore registers a descriptor again for all of its watchers.
func (l *Loop) restore(fd int) {
	err := l.register(fd, l.slots[fd].asked())
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		l.stale.wanting = append(l.stale.wanting, fd)
	}
}

// restoreLater tries again what there was no room for: others of the user may have taken what the old set had.
func (l *Loop) restoreLater() {
	if len(l.stale.wanting) > 0 {
		t := l.AfterFunc(time.Duration(rebuildInterval), l.restoreWanting)
		t.level = ownLevel
		t.Unref()
	}
}

func (l *Loop) restoreWanting() {
	wanting := l.stale.wanting
	l.stale.wanting = nil
	for _, fd := range wanting {
		if l.slots[fd].kernel == 0 { // nobody has started a watcher of it meanwhile
			l.restore(fd)
		}
	}
	l.restoreLater()
}
