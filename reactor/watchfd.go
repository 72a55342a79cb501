package reactor

import (
	"math"
	"strings"

	"github.com/evfork/evfork/internal/poller"
)

// Ready is a set of conditions of a descriptor: what a watcher is interested
// in, and what the kernel reports. A reported condition is a hint; the
// operation may still return EAGAIN.
type Ready = poller.Interest

// The conditions. An error pending on the descriptor, and a hang-up, make all
// three true, so that whoever watches runs into it.
const (
	Read   = poller.Read
	Write  = poller.Write
	HangUp = poller.HangUp // asked alone: nothing but an error, or the end of the other side
)

// slot is what the loop knows of one descriptor number. The generation changes
// with every registration, so an event of an earlier life of the number is
// recognised by one comparison, whatever the kernel still delivers.
type slot struct {
	gen    uint32
	kernel Ready      // what the poller has been told; 0: not registered
	first  *FDWatcher // in start order
}

// An FDWatcher calls back while a descriptor is ready. Several may watch the
// same descriptor. It is level-triggered: it calls again in every iteration
// until the condition is gone. All methods belong to the loop's goroutine.
type FDWatcher struct {
	watcher
	fd         int32
	interest   Ready
	edge       bool // it takes everything when it is called, and need not be called again for what was there
	fn         func(Ready)
	prev, next *FDWatcher // of the same descriptor
}

// WatchFD starts a watcher for a non-blocking descriptor, which stays the
// caller's: stop the watcher before closing it. fn gets the conditions that are
// both asked for and reported; ReadFD and WriteFD are made for it. Descriptors
// that the kernel cannot watch (regular files: EPERM) are refused with an
// *OpError; an interest that is empty, and a number that cannot be a descriptor,
// with ErrInvalid; any on a closed loop with ErrClosed.
func (l *Loop) WatchFD(fd int, interest Ready, fn func(ready Ready)) (*FDWatcher, error) {
	w := &FDWatcher{}
	w.init(l, fd, interest, fn)
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w, nil
}

// noDescriptor stands for all numbers that are too large for a descriptor; no kernel gives this one.
const noDescriptor = math.MaxInt32

// init prepares a watcher that is part of another struct.
func (w *FDWatcher) init(l *Loop, fd int, interest Ready, fn func(Ready)) {
	*w = FDWatcher{watcher: newWatcher(l), fd: int32(min(max(fd, -1), noDescriptor)), interest: interest, fn: fn}
}

// FD returns the watched descriptor.
func (w *FDWatcher) FD() int { return int(w.fd) }

// Start starts a stopped watcher, behind those that watch the descriptor already. It
// does nothing to an active one. Errors are those of WatchFD.
func (w *FDWatcher) Start() error {
	l := w.loop
	switch {
	case w.active:
		return nil
	case l.closing:
		return ErrClosed
	case w.fd < 0 || w.fd == noDescriptor || w.interest == 0 || w.interest > Read|Write|HangUp:
		return ErrInvalid
	}
	if err := l.enlist(w); err != nil {
		return err
	}
	w.link(&l.slots[w.fd])
	w.setActive(true)
	return nil
}

// enlist adds to what the poller is asked for. The table is as long as the
// highest descriptor, so for a higher one the poller comes first: it knows
// whether there is such a descriptor.
func (l *Loop) enlist(w *FDWatcher) error {
	fd := w.FD()
	if fd < len(l.slots) {
		want := w.alone()
		if s := &l.slots[fd]; s.first != nil {
			want = (s.asked() | want) &^ poller.Edge
		}
		return l.register(fd, want)
	}
	first := slot{gen: 1, kernel: w.alone()}
	l.stats.Controls++
	if err := l.poller.Add(fd, first.gen, first.kernel); err != nil {
		return opError("watch", fd, err)
	}
	l.slots = append(l.slots, make([]slot, fd+1-len(l.slots))...)
	l.slots[fd] = first
	return nil
}

// Stop stops the watcher; it is not called back any more, not even for an event
// that has been fetched already. The error, if any, is the kernel's: EBADF or
// ENOENT mean that the descriptor was closed before its watcher was stopped; not
// every backend notices.
func (w *FDWatcher) Stop() error {
	if !w.active {
		return nil
	}
	s := &w.loop.slots[w.fd]
	w.loop.unpend(&w.watcher)
	w.unlink(s)
	w.setActive(false)
	return w.loop.register(w.FD(), s.asked())
}

// SetInterest changes what an active or stopped watcher asks for. On an error, which
// is ErrInvalid or an *OpError, that stays as it was.
func (w *FDWatcher) SetInterest(interest Ready) error {
	if interest == 0 || interest > Read|Write|HangUp {
		return ErrInvalid
	}
	old := w.interest
	w.interest = interest
	if !w.active || old == interest {
		return nil
	}
	err := w.loop.register(w.FD(), w.loop.slots[w.fd].asked())
	if err != nil {
		w.interest = old
	}
	return err
}

// Feed has the watcher called in the next iteration as if the kernel had
// reported ready, of which it gets what it asks for. It returns ErrNotActive if
// the watcher is stopped.
func (w *FDWatcher) Feed(ready Ready) error { return w.loop.feed(&w.watcher, w, ready) }

// FeedFD feeds all watchers of a descriptor that ask for one of the conditions. It
// does nothing if there are none.
func (l *Loop) FeedFD(fd int, ready Ready) {
	if fd < 0 || fd >= len(l.slots) {
		return
	}
	for w := l.slots[fd].first; w != nil; w = w.next {
		if w.interest&ready != 0 {
			_ = w.Feed(ready) // listed watchers are active
		}
	}
}

// invoke asks for the interest again: an earlier callback of this iteration may
// have changed it.
func (w *FDWatcher) invoke(ready Ready) {
	if ready &= w.interest; ready != 0 {
		w.fn(ready)
	}
}

func (w *FDWatcher) describe() (string, int) { return "fd", w.FD() }

// alone is what the poller is asked for if the watcher is the only one of its descriptor.
func (w *FDWatcher) alone() Ready {
	if w.edge {
		return w.interest | poller.Edge
	}
	return w.interest
}

// asked is the union of what the active watchers of the slot want.
func (s *slot) asked() (all Ready) {
	if s.first != nil && s.first.next == nil {
		return s.first.alone()
	}
	for w := s.first; w != nil; w = w.next {
		all |= w.interest
	}
	return all
}

// register tells the poller the difference between what it knows and want.
func (l *Loop) register(fd int, want Ready) error {
	s := &l.slots[fd]
	var err error
	switch {
	case want == s.kernel:
		return nil
	case want == 0:
		err = l.poller.Remove(fd)
		s.kernel = 0 // also on error: the descriptor is gone, or was never there
	case s.kernel == 0:
		s.gen++
		err = l.poller.Add(fd, s.gen, want)
	default:
		err = l.poller.Modify(fd, s.gen, want)
	}
	l.stats.Controls++
	if err != nil {
		return opError("watch", fd, err)
	}
	s.kernel = want
	return nil
}

func (w *FDWatcher) link(s *slot) {
	w.next = nil
	if s.first == nil {
		s.first, w.prev = w, nil
		return
	}
	last := s.first
	for last.next != nil {
		last = last.next
	}
	last.next, w.prev = w, last
}

func (w *FDWatcher) unlink(s *slot) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		s.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}

// ReadyString names the conditions of a set: "read|write".
func ReadyString(r Ready) string {
	var names []string
	for _, c := range []struct {
		bit  Ready
		name string
	}{{Read, "read"}, {Write, "write"}, {HangUp, "hangup"}} {
		if r&c.bit != 0 {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, "|")
}
