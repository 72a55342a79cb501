package poller

import (
	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// settle tells the kernel now what would wait for the next Wait.
func (p *kqueue) settle() {
	dirty := p.dirty
	p.dirty = p.dirty[:0]
	for _, fd := range dirty {
		p.regs[fd].dirty = false
		if p.apply(fd) != nil {
			p.hangUp(fd)
		}
	}
	p.remind()
}

// collect makes the changes that are due.
func (p *kqueue) collect() {
	p.changes = p.changes[:0]
	for _, fd := range p.dirty {
		r := &p.regs[fd]
		r.dirty = false
		want := r.want()
		for filter := range filters {
			p.changes = r.changes(p.changes, fd, filter, want[filter])
		}
		r.have, r.haveGen = want, r.gen
	}
	p.dirty = p.dirty[:0]
}

// failures takes the errors of changes out of what kevent returned, and reports
// whether there were any: then there are no events beside them.
func (p *kqueue) failures(n int) bool {
	failed := false
	for i := range p.kernel[:n] {
		if k := &p.kernel[i]; k.Flags&kevent.EV_ERROR != 0 {
			failed = true
			p.failure(k)
		}
	}
	return failed
}

// failure is the error of one change that was put off. Of a deletion it means
// that the filter went with its descriptor.
func (p *kqueue) failure(k *kevent.Event) {
	r, filter := p.reg(int(k.Ident)), readFilter
	if k.Filter == kevent.EVFILT_WRITE {
		filter = writeFilter
	}
	if r == nil || r.want()[filter] == off || unix.Errno(k.Data) == unix.ENOENT {
		return
	}
	if p.refused(int32(k.Ident), filter, unix.Errno(k.Data)) != nil {
		p.hangUp(int32(k.Ident))
	}
}

// apply makes the changes of one registration at once, one by one, which tells
// whose error it is without EV_RECEIPT (NetBSD does not have it). Without room for
// events kevent returns the error of a change as its own.
func (p *kqueue) apply(fd int32) error {
	r := &p.regs[fd]
	want := r.want()
	for filter := range filters {
		p.changes = r.changes(p.changes[:0], fd, filter, want[filter])
		r.have[filter] = want[filter]
		for i := range p.changes {
			err := p.change(p.changes[i])
			if err == nil || p.changes[i].Flags&kevent.EV_DELETE != 0 {
				continue // what cannot be deleted went with its descriptor
			}
			if err := p.refused(fd, filter, err); err != nil {
				return err
			}
		}
	}
	r.haveGen = r.gen
	return nil
}

// change makes one change at once.
func (p *kqueue) change(c kevent.Event) error {
	p.one[0] = c
	_, err := p.queue.Kevent(p.one[:], nil, &p.none)
	if err == unix.EINTR {
		return nil
	}
	return err
}

// refused handles a filter that cannot be added. A pipe whose other side is gone
// does not take a write filter on most systems: that is a hang-up. An edge is not
// taken by every kind of file; then there is no hang-up to be told of.
func (p *kqueue) refused(fd int32, filter int, err error) error {
	r := &p.regs[fd]
	r.have[filter] = off
	switch {
	case err == unix.EPIPE, (err == unix.EBADF || err == unix.EPERM) && filter == writeFilter && isOpen(fd):
		p.hangUp(fd) // EBADF is NetBSD's word for it; libevent has met EPERM, too
		return nil
	case r.want()[filter] == edge && err != unix.ENOMEM && isOpen(fd):
		return nil
	}
	return err
}

func isOpen(fd int32) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
