package reactor

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ExpireJumpNotice makes the timerfd that tells of jumps readable.
func (l *Loop) ExpireJumpNotice() error {
	return unix.TimerfdSettime(l.walls.notice.w.FD(), 0, &unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}, nil)
}

// DropPathHints makes the kernel forget what it was to give hints on.
func (l *Loop) DropPathHints() {
	for _, p := range l.paths.active {
		l.paths.hints.drop(p)
	}
}

// OverflowPathHints plays a queue of hints that has overflowed.
func (l *Loop) OverflowPathHints() {
	l.paths.hints.take(-1, unix.IN_Q_OVERFLOW, "")
	l.paths.hints.look()
}

// EntryWithinTick plays a hint on an entry that has come into a directory so soon that
// stat(2) says nothing of it.
func (p *PathWatcher) EntryWithinTick() { p.hintWithinTick(p.hint.self, unix.IN_CREATE, "entry") }

// ReplaceWithinTick is the same of another file that has got the name, and the inode that had become free.
func (p *PathWatcher) ReplaceWithinTick() {
	p.hintWithinTick(p.hint.parent, unix.IN_CREATE, filepath.Base(p.path))
}

// AttributeWithinTick is the same of an attribute that stat(2) does not show.
func (p *PathWatcher) AttributeWithinTick() { p.hintWithinTick(p.hint.self, unix.IN_ATTRIB, "") }

func (p *PathWatcher) hintWithinTick(wd int32, mask uint32, name string) {
	hints := &p.loop.paths.hints
	p.fresh = true
	hints.take(wd, mask, name)
	hints.look()
}

// OverwriteWithinTick plays a hint on content that was overwritten so soon that
// stat(2) says nothing of it.
func (p *PathWatcher) OverwriteWithinTick() {
	p.fresh, p.modified = true, true
	p.look()
}
