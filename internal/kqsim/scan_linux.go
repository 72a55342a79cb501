package kqsim

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// scan collects what is to be reported now, without waiting.
func (q *Queue) scan(events []kevent.Event) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.turn++
	order := [setCount]int{readSet, writeSet, procSet}
	switch {
	case q.quirks.WriteFirst:
		order = [setCount]int{writeSet, readSet, procSet}
	case q.turn%2 == 0: // no set keeps the others waiting when there is little room
		order = [setCount]int{procSet, readSet, writeSet}
	}
	n = q.scanHeld(events)
	for _, set := range order {
		if n == len(events) {
			break
		}
		found, err := q.scanSet(set, events[n:])
		if err != nil {
			return n, err
		}
		n += found
	}
	return n, nil
}

// scanSet asks one set. What it brings is a hint: the state of the descriptor
// decides, as it does in f_event of a real kernel.
func (q *Queue) scanSet(set int, events []kevent.Event) (n int, err error) {
	if len(q.found) < len(events) {
		q.found = make([]unix.EpollEvent, len(events))
	}
	found := q.found[:len(events)]
	count, err := unix.EpollWait(q.sets[set], found, 0)
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("epoll_wait", err)
	}
	lingering := false
	for i := range found[:count] {
		k := key{filterOf(set), uintptr(found[i].Fd)}
		note := q.notes[k]
		if note == nil || !note.alive() {
			q.forget(k)
			lingering = true
			continue
		}
		ev, ready := q.evaluate(note)
		if !ready {
			// An edge that is over, or a level that belongs to a closed descriptor.
			lingering = lingering || !note.edge()
			continue
		}
		events[n] = ev
		q.reported(k, note, &events[n])
		n++
	}
	if lingering {
		return n, q.renew(set)
	}
	return n, nil
}

func filterOf(set int) kevent.Filter {
	switch set {
	case readSet:
		return kevent.EVFILT_READ
	case writeSet:
		return kevent.EVFILT_WRITE
	default:
		return kevent.EVFILT_PROC
	}
}

// reported is what a report does to its note.
func (q *Queue) reported(k key, n *note, ev *kevent.Event) {
	n.told = true
	last := q.quirks.EOFDeletes && ev.Flags&kevent.EV_EOF != 0 && k.filter == kevent.EVFILT_WRITE && n.file.writeEnd()
	switch {
	case last, n.flags&kevent.EV_ONESHOT != 0:
		q.forget(k)
	case n.flags&kevent.EV_DISPATCH != 0:
		n.disabled = true
		if n.set != noSet {
			q.unwatch(n)
		}
	case n.flags&kevent.EV_CLEAR != 0:
		n.triggered = false
	}
}

// evaluate is f_event: whether the note is to be reported, and how.
func (q *Queue) evaluate(n *note) (ev kevent.Event, ready bool) {
	ev = n.event()
	fd := int(n.ident)
	switch n.filter {
	case kevent.EVFILT_PROC:
		n.exited(&ev)
		return ev, true
	case kevent.EVFILT_READ:
		if q.quirks.DeadReaderIsWrite && n.file.writeEnd() {
			return ev, q.mute(n)
		}
		ready = n.evaluateRead(fd, &ev)
		if n.named {
			ready = q.hideEnd(n, &ev)
		}
		return ev, ready
	default:
		if q.quirks.DeadReaderIsRead && n.file.writeEnd() && conditions(fd)&unix.POLLERR != 0 {
			return ev, q.mute(n)
		}
		return ev, n.evaluateWrite(fd, &ev)
	}
}

// hideEnd takes the end of a named pipe back out of a report. When nothing is
// left to read the kernel is to say no more than that something has changed.
func (q *Queue) hideEnd(n *note, ev *kevent.Event) (ready bool) {
	ev.Flags &^= kevent.EV_EOF
	if drained := ev.Data == 0; drained != n.drained {
		n.drained = drained
		_ = q.arm(n) // it is watched already
	}
	return !n.drained
}

// mute is for a note that will never be reported again: epoll would go on.
func (q *Queue) mute(n *note) (ready bool) {
	n.muted = true
	q.unwatch(n)
	return false
}

func (n *note) evaluateRead(fd int, ev *kevent.Event) (ready bool) {
	bits := conditions(fd)
	if pending, err := unix.IoctlGetUint32(fd, unix.TIOCINQ); err == nil && !n.file.writeEnd() {
		ev.Data = int64(pending)
	}
	switch {
	case n.file.writeEnd():
		// Pipes go both ways on BSDs: nothing comes from a reader but its end.
		if bits&unix.POLLERR == 0 {
			return false
		}
		ev.Flags |= kevent.EV_EOF
	case bits&(unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0:
		ev.Flags |= kevent.EV_EOF
	}
	if n.file.socket() && bits&unix.POLLERR != 0 {
		ev.Fflags = uint32(unix.ECONNRESET)
	}
	return bits&unix.POLLIN != 0 || ev.Flags&kevent.EV_EOF != 0
}

func (n *note) evaluateWrite(fd int, ev *kevent.Event) (ready bool) {
	bits := conditions(fd)
	if bits&(unix.POLLHUP|unix.POLLERR) != 0 || n.file.socket() && sendingIsShut(fd) {
		ev.Flags |= kevent.EV_EOF
	}
	if n.file.socket() && bits&unix.POLLERR != 0 {
		ev.Fflags = uint32(unix.ECONNRESET)
	}
	return bits&unix.POLLOUT != 0 || ev.Flags&kevent.EV_EOF != 0
}
