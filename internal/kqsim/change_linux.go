package kqsim

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// change makes the changes in their order. An error is an event as long as there
// is room for it; then it ends the call, and the changes behind it are not made.
func (q *Queue) change(changes, events []kevent.Event) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		err := q.changeOne(c)
		receipt := c.Flags&kevent.EV_RECEIPT != 0 && !q.quirks.NoReceipt
		switch {
		case err == 0 && !receipt:
		case n < len(events):
			events[n] = kevent.Event{Ident: c.Ident, Filter: c.Filter, Flags: kevent.EV_ERROR, Data: int64(err), Udata: c.Udata}
			n++
		case err != 0:
			return 0, err
		}
	}
	return n, nil
}

func (q *Queue) changeOne(c *kevent.Event) unix.Errno {
	switch c.Filter {
	case kevent.EVFILT_READ, kevent.EVFILT_WRITE:
		if c.Ident > 1<<31-1 || !isOpen(int(c.Ident)) {
			q.forget(key{c.Filter, c.Ident}) // it went when the descriptor was closed
			if q.quirks.ClosedFD != 0 {
				return q.quirks.ClosedFD
			}
			return unix.EBADF
		}
	case kevent.EVFILT_USER:
		if q.quirks.NoUser {
			return unix.EINVAL
		}
	case kevent.EVFILT_PROC:
		if c.Ident > 1<<31-1 {
			return unix.ESRCH
		}
	default:
		return unix.EINVAL
	}
	k := key{c.Filter, c.Ident}
	n := q.notes[k]
	if n != nil && !n.alive() {
		q.forget(k)
		n = nil
	}
	switch {
	case c.Flags&kevent.EV_ADD != 0 && n == nil:
		var e unix.Errno
		if n, e = q.attach(c); e != 0 {
			return e
		}
	case n == nil:
		return unix.ENOENT
	case c.Flags&kevent.EV_DELETE != 0:
		q.forget(k)
		return 0
	default:
		q.update(n, c)
	}
	if c.Flags&kevent.EV_DELETE != 0 {
		q.forget(k)
		return 0
	}
	if n.filter == kevent.EVFILT_USER && c.Fflags&kevent.NOTE_TRIGGER != 0 {
		n.triggered = true
	}
	return q.arm(n)
}

// attach makes a new note.
func (q *Queue) attach(c *kevent.Event) (*note, unix.Errno) {
	n := &note{
		ident:    c.Ident,
		filter:   c.Filter,
		udata:    c.Udata,
		flags:    c.Flags & (kevent.EV_CLEAR | kevent.EV_ONESHOT | kevent.EV_DISPATCH),
		disabled: c.Flags&kevent.EV_DISABLE != 0,
		set:      noSet,
		pidfd:    -1,
		stat:     -1,
	}
	var err unix.Errno
	switch c.Filter {
	case kevent.EVFILT_READ, kevent.EVFILT_WRITE:
		err = q.attachFD(n)
	case kevent.EVFILT_PROC:
		err = q.attachProcess(n)
	}
	if err != 0 {
		return nil, err
	}
	q.notes[key{c.Filter, c.Ident}] = n
	return n, 0
}

func (q *Queue) attachFD(n *note) unix.Errno {
	fd := int(n.ident)
	if q.quirks.NoTerminals && isTerminal(fd) {
		return unix.EINVAL
	}
	n.file = identify(fd)
	switch {
	case n.isFile():
	case n.filter == kevent.EVFILT_READ:
		n.set = readSet
		n.named = q.quirks.FIFOStaysOpen && n.file.readEnd() && isNamed(fd)
	default:
		n.set = writeSet
		if q.quirks.DeadPipe != 0 && n.file.writeEnd() && conditions(fd)&unix.POLLERR != 0 {
			return q.quirks.DeadPipe
		}
	}
	return 0
}

func (q *Queue) attachProcess(n *note) unix.Errno {
	pid := int(n.ident)
	n.set = procSet
	n.flags |= kevent.EV_ONESHOT // NOTE_EXIT comes once, asked for or not
	exited, _ := waitpeek.Exited(pid)
	n.muted = exited && q.quirks.ZombieSilent
	var err error
	if n.pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
		return unix.ESRCH
	}
	if q.quirks.EarlyExit {
		n.stat, _ = unix.Open(waitpeek.StatPath(pid), unix.O_RDONLY|unix.O_CLOEXEC, 0) // -1: reaped since
	}
	if q.quirks.ZombieESRCH && (exited || n.exiting()) {
		n.close()
		return unix.ESRCH
	}
	return 0
}

// update is the change of a note that exists: EV_ADD replaces the user data, but
// neither EV_CLEAR nor its like.
func (q *Queue) update(n *note, c *kevent.Event) {
	if c.Flags&kevent.EV_ADD != 0 {
		n.udata = c.Udata
		n.disabled = q.quirks.DisabledStays
	}
	if c.Flags&kevent.EV_ENABLE != 0 {
		n.disabled = false
	}
	if c.Flags&kevent.EV_DISABLE != 0 {
		n.disabled = true
	}
}

// arm has the kernel watch what the note is about, from its present state on.
func (q *Queue) arm(n *note) unix.Errno {
	if n.set == noSet {
		n.told = false
		q.signal()
		return 0
	}
	if !n.watching() {
		q.unwatch(n)
		return 0
	}
	ev := unix.EpollEvent{Events: n.bits(), Fd: int32(n.ident)}
	err := unix.EpollCtl(q.sets[n.set], unix.EPOLL_CTL_MOD, n.watched(), &ev)
	if err == unix.ENOENT {
		err = q.watch(n)
	}
	if err != nil {
		q.forget(key{n.filter, n.ident})
		return err.(unix.Errno)
	}
	return 0
}

func (q *Queue) watch(n *note) error {
	if !n.watching() {
		return nil
	}
	ev := unix.EpollEvent{Events: n.bits(), Fd: int32(n.ident)}
	return unix.EpollCtl(q.sets[n.set], unix.EPOLL_CTL_ADD, n.watched(), &ev)
}

// unwatch ignores the error: what was closed is not watched, or is found by scan.
func (q *Queue) unwatch(n *note) {
	_ = unix.EpollCtl(q.sets[n.set], unix.EPOLL_CTL_DEL, n.watched(), nil)
}

// forget deletes a note, if there is one.
func (q *Queue) forget(k key) {
	n := q.notes[k]
	if n == nil {
		return
	}
	delete(q.notes, k)
	switch {
	case n.set == noSet:
		q.signal()
	case n.alive():
		q.unwatch(n)
	}
	n.close()
}
