package kqsim

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// Some of what is registered cannot be watched by an epoll set: EVFILT_USER and
// files that never block. It is looked at in each scan, as is, for
// Quirks.EarlyExit, every process.

// scanHeld collects what is to be reported of that.
func (q *Queue) scanHeld(events []kevent.Event) (n int) {
	files := false
	for k, note := range q.notes {
		if n == len(events) {
			break
		}
		if note.isFile() {
			files = true
			if !note.alive() {
				q.forget(k)
				continue
			}
		}
		if ev, ready := q.evaluateHeld(note); ready {
			events[n] = ev
			q.reported(k, note, &events[n])
			n++
		}
	}
	if n > 0 || files {
		q.signal()
	}
	return n
}

func (q *Queue) evaluateHeld(n *note) (ev kevent.Event, ready bool) {
	ev = n.event()
	switch {
	case n.disabled || n.muted:
		return ev, false
	case n.filter == kevent.EVFILT_USER:
		return ev, n.triggered && !q.quirks.DeafUser
	case n.filter == kevent.EVFILT_PROC:
		n.exited(&ev)
		return ev, n.exiting()
	case n.isFile():
		return ev, q.evaluateFile(n, &ev)
	}
	return ev, false
}

// evaluateFile: a file is readable until its end, and always writable. An edge of
// it does not come again, because nothing here tells that it was written to.
func (q *Queue) evaluateFile(n *note, ev *kevent.Event) (ready bool) {
	if n.told && (n.flags&kevent.EV_CLEAR != 0 || n.filter == kevent.EVFILT_WRITE && !q.quirks.EndlessFiles) {
		return false
	}
	if n.filter == kevent.EVFILT_WRITE {
		return true
	}
	var st unix.Stat_t
	offset, err := unix.Seek(int(n.ident), 0, unix.SEEK_CUR)
	if err != nil || unix.Fstat(int(n.ident), &st) != nil {
		return false
	}
	ev.Data = st.Size - offset
	return ev.Data != 0
}

// signal makes the eventfd readable just while something held is to be reported.
// A process that begins to exit is none: it makes no descriptor readable.
func (q *Queue) signal() {
	buf := [8]byte{1}
	for _, n := range q.notes {
		if n.set != noSet {
			continue
		}
		if _, ready := q.evaluateHeld(n); ready {
			_, _ = unix.Write(q.held, buf[:]) // EAGAIN: it is readable
			return
		}
	}
	_, _ = unix.Read(q.held, buf[:]) // EAGAIN: it is not readable
}
