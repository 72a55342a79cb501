package reactor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	defaultPathInterval = 5 * time.Second // libev's
	minPathInterval     = 100 * time.Millisecond

	// coarseTick is as long as the kernel may give the same time to different
	// changes of a file: one tick at 100 Hz, and some room. (Linux tells them
	// apart since 6.13, on most local file systems.)
	coarseTick = 20 * time.Millisecond
	// coarsestTick is the same on file systems that keep no fractions: one second on old ones (ext3), two on FAT.
	coarsestTick = 2*time.Second + coarseTick
)

// A PathWatcher calls back when what a path refers to has changed: its content,
// its attributes, which file it is, or whether it exists at all. All methods
// belong to the loop's goroutine.
type PathWatcher struct {
	watcher
	path     string
	fn       func(prev, cur PathInfo)
	prev     PathInfo // as reported last
	cur      PathInfo // as seen last
	fresh    bool     // cur was seen while another change could have got the same time
	poll     Timer
	hint     pathHint
	modified bool // hinted: there was a change since the last look, which stat need not show
	anyway   bool // to be called although nothing may have changed
}

// pathSet is what the loop has for its path watchers.
type pathSet struct {
	active []*PathWatcher // in start order
	hints  pathHints
}

// WatchPath looks at a path every interval and calls fn if it finds a change. On
// Linux the kernel gives a hint (inotify) on most changes of local files, and
// fn is called at once; where it does not, only the interval counts: on network
// file systems, in /proc and /sys, through memory mappings, for a path whose
// directory does not exist, when a directory or a symbolic link further up is replaced, when the target of
// a symbolic link comes into being, and when the user's inotify limits are reached.
// Elsewhere there are no hints.
//
// An interval of 0 is 5 s, one below 100 ms is 100 ms, and a negative one
// ErrInvalid, as is a path that is empty or contains a zero byte. The path need
// not exist; that it comes into being is a change, and PathInfo says whether it
// exists. A relative path is resolved anew at every look. Of a directory the list of
// entries is watched, not what is in them.
//
// prev is what fn was given last, or what was found when the watcher was started.
// Changes that come faster than the loop turns are reported as one, so what was
// changed and changed back may go unseen. Without hints, so may a change
// that leaves the size as it was within one tick of the file system's clock (nanoseconds
// at best, two seconds on FAT); with them fn is called for it, with prev equal
// to cur, and then and when it is fed are the only times that it is.
//
// Every look is a stat(2), which blocks the loop for as long as the kernel takes:
// microseconds on a local file system, without any limit on a network file system
// whose server is away. Do not watch paths there from a loop that matters.
// Closing a loop that has watched paths takes Linux tens of milliseconds.
func (l *Loop) WatchPath(path string, interval time.Duration, fn func(prev, cur PathInfo)) (*PathWatcher, error) {
	switch {
	case path == "" || strings.IndexByte(path, 0) >= 0 || interval < 0:
		return nil, ErrInvalid
	case interval == 0:
		interval = defaultPathInterval
	}
	interval = max(interval, minPathInterval)
	p := &PathWatcher{watcher: newWatcher(l), path: path, fn: fn}
	p.poll = Timer{watcher: newWatcher(l), fn: p.look, delay: int64(interval), period: int64(interval), index: -1}
	p.poll.level = ownLevel
	p.poll.Unref()
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Start starts a stopped watcher from what the path is now. On a closed loop it
// returns ErrClosed.
func (p *PathWatcher) Start() error {
	l := p.loop
	switch {
	case p.active:
		return nil
	case l.closing:
		return ErrClosed
	}
	l.paths.hints.open(l)
	l.paths.active = append(l.paths.active, p)
	p.setActive(true)
	p.poll.Start()
	l.paths.hints.renew(p)
	p.stat()
	p.prev = p.cur
	return nil
}

// Stop stops the watcher; it is not called even for what has been seen already.
func (p *PathWatcher) Stop() {
	if !p.active {
		return
	}
	l := p.loop
	l.unpend(&p.watcher)
	p.anyway = false
	p.poll.Stop()
	p.setActive(false)
	l.paths.hints.drop(p)
	i := slices.Index(l.paths.active, p)
	l.paths.active = slices.Delete(l.paths.active, i, i+1)
}

// Path returns the watched path.
func (p *PathWatcher) Path() string { return p.path }

// Info is what the path was when it was last looked at.
func (p *PathWatcher) Info() PathInfo { return p.cur }

// Feed has the watcher called in the next iteration as if there had been a
// change. It returns ErrNotActive if the watcher is stopped.
func (p *PathWatcher) Feed() error {
	p.anyway = p.active
	return p.loop.feed(&p.watcher, p, 0)
}

// look finds out whether there is anything to report. The hints are renewed before
// the look, so that what happens after it gives one.
func (p *PathWatcher) look() {
	p.loop.paths.hints.renew(p)
	written := p.modified && p.fresh
	p.modified = false
	before := p.cur
	p.stat()
	p.anyway = p.anyway || written && p.cur == before
	if p.cur != before || written {
		p.loop.pendLate(&p.watcher, p)
	}
}

func (p *PathWatcher) stat() { p.cur, p.fresh = lookAt(p.path, statPath) }

// lookAt asks stat what a path is, and the clock before it: what happens while stat
// takes long, or we are held up behind it, may still get the time that it has seen.
func lookAt(path string, stat func(string) PathInfo) (info PathInfo, fresh bool) {
	now := time.Now()
	info = stat(path)
	return info, now.Sub(info.ChangeTime) < tickOf(info.ChangeTime)
}

// tickOf is how long the file system may give a time to different changes. One without a fraction hardly
// comes from a file system that keeps them.
func tickOf(t time.Time) time.Duration {
	if t.Nanosecond() == 0 {
		return coarsestTick
	}
	return coarseTick
}

// invoke keeps still if a second look of the iteration has found what there was before the first.
func (p *PathWatcher) invoke(Ready) {
	prev, anyway := p.prev, p.anyway
	p.prev, p.anyway = p.cur, false
	if prev != p.cur || anyway {
		p.fn(prev, p.cur)
	}
}

func (p *PathWatcher) describe() (string, int) { return "path", -1 }

func (l *Loop) verifyPaths(refs *int) error {
	for _, p := range l.paths.active {
		if !p.active || !p.poll.active {
			return fmt.Errorf("reactor: watcher of path %s is listed, active %v, looking %v", p.path, p.active, p.poll.active)
		}
		if !p.unref {
			*refs++
		}
	}
	return l.paths.hints.verify(l.paths.active)
}

// releasePaths stops what is left when the loop is released.
func (l *Loop) releasePaths() {
	for len(l.paths.active) > 0 {
		l.paths.active[0].Stop()
	}
	l.paths.hints.close()
}
