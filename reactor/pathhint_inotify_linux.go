package reactor

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// Of the entries of a directory.
	entryHints = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE
	// Of what the path refers to, which may be a directory.
	selfHints = entryHints | unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CLOSE_WRITE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	// Of the directory that the path is in: that another file takes its name, or
	// the first. No IN_MODIFY: a busy neighbour would wake the loop all the time.
	parentHints = entryHints | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
)

// pathHints is one inotify descriptor for all path watchers of the loop; a user
// may have 128 of them by default. It is only ever a reason to look: whatever it
// does not say, the interval finds.
type pathHints struct {
	w       FDWatcher
	watched map[int32][]*PathWatcher // by watch descriptor, of which there is one per inode
}

// pathHint is a watcher's part of it: its watch descriptors, 0 for none.
type pathHint struct {
	self, parent int32
	given        bool // in the batch at hand
}

// open is called at every start of a watcher. It may fail, for want of descriptors
// for example; then there are no hints. What it has opened stays open as long as
// the loop: close(2) of an inotify descriptor waits for a grace period of the
// kernel (fsnotify_destroy_group, synchronize_srcu), tens of milliseconds and now
// and then a second, which is too long for stopping a watcher.
func (h *pathHints) open(l *Loop) {
	if h.w.active {
		return
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	h.w.init(l, fd, Read, h.read)
	h.w.level = ownLevel
	h.w.Unref()
	if h.w.Start() != nil {
		closeFD(&h.w.fd, -1)
		return
	}
	h.watched = make(map[int32][]*PathWatcher)
}

func (h *pathHints) close() {
	if h.w.active {
		_ = h.w.Stop() // ours, so it is open
		closeFD(&h.w.fd, -1)
		h.watched = nil
	}
}

// renew watches what the path and its directory are now. For the same inode the
// kernel answers with the same watch descriptor, so calling it again changes
// nothing unless something has been replaced, here or further up.
func (h *pathHints) renew(p *PathWatcher) {
	if !h.w.active {
		return
	}
	h.move(p, &p.hint.self, p.path, selfHints)
	h.move(p, &p.hint.parent, filepath.Dir(strings.TrimRight(p.path, "/")), parentHints)
}

// move sets one of the two watch descriptors. IN_MASK_ADD keeps what other paths
// to the same inode want to hear.
func (h *pathHints) move(p *PathWatcher, place *int32, path string, mask uint32) {
	wd, err := unix.InotifyAddWatch(h.w.FD(), path, mask|unix.IN_MASK_ADD)
	if err != nil {
		wd = 0 // nothing there, not allowed, or too many
	}
	if int32(wd) == *place {
		return
	}
	h.forget(p, place)
	if wd != 0 {
		*place = int32(wd)
		h.watched[*place] = append(h.watched[*place], p)
	}
}

func (h *pathHints) drop(p *PathWatcher) {
	if h.w.active {
		h.forget(p, &p.hint.self)
		h.forget(p, &p.hint.parent)
	}
	p.hint = pathHint{}
}

func (h *pathHints) forget(p *PathWatcher, place *int32) {
	wd := *place
	if *place = 0; wd == 0 {
		return
	}
	list := h.watched[wd]
	if i := slices.Index(list, p); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if h.watched[wd] = list; len(list) == 0 {
		delete(h.watched, wd)
		// EINVAL: the inode is gone, and the kernel's watch with it.
		_, _ = unix.InotifyRmWatch(h.w.FD(), uint32(wd))
	}
}

// read takes a batch of hints and looks once for each watcher they are for. What
// does not fit is read in the next iteration.
func (h *pathHints) read(Ready) {
	var buf [4096]byte
	n, err := sysRead(h.w.FD(), buf[:])
	if err != nil {
		return // EAGAIN
	}
	for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
		// wd, mask, cookie, len; then the name, padded with zeros.
		wd := int32(binary.NativeEndian.Uint32(rest))
		mask := binary.NativeEndian.Uint32(rest[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[12:]))
		name, _, _ := strings.Cut(string(rest[unix.SizeofInotifyEvent:end]), "\x00")
		h.take(wd, mask, name)
		rest = rest[end:]
	}
	h.look()
}

// look looks at what the hints were for.
func (h *pathHints) look() {
	for _, p := range h.w.loop.paths.active { // no callback is made here
		if p.hint.given {
			p.hint.given = false
			p.look()
		}
	}
}

// take marks the watchers that an event is for. That the kernel has given a watch
// up (IN_IGNORED) needs nothing else: the look finds that the inode has gone, and
// no number is used again before 2³¹ others.
func (h *pathHints) take(wd int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		for _, p := range h.w.loop.paths.active {
			p.hint.given, p.modified = true, true
		}
		return
	}
	for _, p := range h.watched[wd] {
		switch {
		case wd == p.hint.self && name != "" && mask&entryHints == 0: // in a directory, not of it
		case wd == p.hint.self:
			p.hint.given = true
			p.modified = p.modified || mask&unix.IN_CLOSE_WRITE == 0 // what was written has given hints of its own
		case name == "" || name == filepath.Base(p.path):
			p.hint.given, p.modified = true, true // another file may have got the inode of the last
		}
	}
}

func (h *pathHints) verify(active []*PathWatcher) error {
	if len(h.watched) > 0 && len(active) == 0 {
		return fmt.Errorf("reactor: %d inodes are watched for no path", len(h.watched))
	}
	listed := make(map[*PathWatcher]int)
	for wd, list := range h.watched {
		for _, p := range list {
			if p.hint.self != wd && p.hint.parent != wd {
				return fmt.Errorf("reactor: watcher of path %s does not know of its watch %d", p.path, wd)
			}
			listed[p]++
		}
	}
	for _, p := range active {
		want := 0
		for _, wd := range []int32{p.hint.self, p.hint.parent} {
			if wd != 0 {
				want++
			}
		}
		if listed[p] != want {
			return fmt.Errorf("reactor: watcher of path %s has %d watches, listed are %d", p.path, want, listed[p])
		}
	}
	return nil
}
