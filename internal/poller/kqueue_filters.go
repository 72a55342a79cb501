package poller

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// A mode is how a filter is registered. To change between level and edge a
// filter is deleted and added again: adding it over itself keeps its EV_CLEAR.
type mode uint8

const (
	off   mode = iota
	level      // the condition is reported as long as it lasts
	edge       // EV_CLEAR, and only an EV_EOF counts
)

// The filters of a descriptor, as indices.
const (
	readFilter = iota
	writeFilter
	filters
)

// kqueueReg is the registration of one descriptor, and what the kernel has of it.
type kqueueReg struct {
	interest Interest // 0: not registered
	socket   bool
	dirty    bool // in kqueue.dirty
	hung     bool // in kqueue.hung
	have     [filters]mode
	gen      uint32
	haveGen  uint32 // with which the filters were added
	at       int32  // where its event is, if it is there: see merge
}

// want is which filters an interest needs.
//
// A hang-up is an EV_EOF, and needs a filter that tells of it but not of the rest:
// one with EV_CLEAR, whose other reports are dropped. On a socket that is the read
// filter, as the end of a connection ends reading. On a pipe it is both: when the
// last reader closes, some systems tell the write end's write filter, and some
// its read filter, though there is nothing to read (Go's runtime knows this, too).
func (r *kqueueReg) want() (modes [filters]mode) {
	if r.interest == 0 {
		return modes
	}
	if r.interest&Write != 0 {
		modes[writeFilter] = level
	} else if !r.socket && r.interest == HangUp {
		modes[writeFilter] = edge
	}
	if r.interest&Read != 0 {
		modes[readFilter] = level
	} else if !r.socket || r.interest&HangUp != 0 {
		modes[readFilter] = edge
	}
	return modes
}

// changes appends what tells the kernel the difference between what it has and
// what is wanted of one filter.
func (r *kqueueReg) changes(list []kevent.Event, fd int32, filter int, want mode) []kevent.Event {
	have := r.have[filter]
	if have == want && (want == off || r.haveGen == r.gen) {
		return list
	}
	change := kevent.Event{Ident: uintptr(fd), Filter: kevent.EVFILT_READ}
	if filter == writeFilter {
		change.Filter = kevent.EVFILT_WRITE
	}
	if have != off && have != want {
		change.Flags = kevent.EV_DELETE
		list = append(list, change)
	}
	if want != off {
		// Some versions of macOS keep a filter disabled when it is added again
		// without EV_ENABLE (libev 4.00).
		change.Flags = kevent.EV_ADD | kevent.EV_ENABLE
		if want == edge {
			change.Flags |= kevent.EV_CLEAR
		}
		change.Udata[0] = uintptr(r.gen)
		list = append(list, change)
	}
	return list
}

func (p *kqueue) reg(fd int) *kqueueReg {
	if fd < 0 || fd >= len(p.regs) {
		return nil
	}
	return &p.regs[fd]
}

func (p *kqueue) Add(fd int, gen uint32, interest Interest) error {
	if r := p.reg(fd); r != nil && r.interest != 0 {
		return unix.EEXIST
	}
	socket, err := inspect(fd)
	if err != nil {
		return err
	}
	for len(p.regs) <= fd {
		p.regs = append(p.regs, kqueueReg{})
	}
	r := &p.regs[fd]
	// What the kernel has may be of an earlier life of the number, whose Remove it
	// has not been told: filters that went when that was closed, if it was. Adding
	// them again is right in both cases; so the generation must differ.
	*r = kqueueReg{interest: interest, socket: socket, gen: gen, haveGen: ^gen, have: r.have, dirty: r.dirty}
	if err := p.apply(int32(fd)); err != nil {
		p.withdraw(int32(fd))
		return err
	}
	return nil
}

func (p *kqueue) Modify(fd int, gen uint32, interest Interest) error {
	r := p.reg(fd)
	if r == nil || r.interest == 0 {
		return unix.ENOENT
	}
	r.interest, r.gen = interest, gen
	p.touch(int32(fd))
	return nil
}

func (p *kqueue) Remove(fd int) error {
	r := p.reg(fd)
	if r == nil || r.interest == 0 {
		return unix.ENOENT
	}
	p.withdraw(int32(fd))
	return nil
}

// withdraw ends a registration.
func (p *kqueue) withdraw(fd int32) {
	r := &p.regs[fd]
	r.interest = 0
	if r.hung {
		r.hung = false
		p.hung = slices.DeleteFunc(p.hung, func(other int32) bool { return other == fd })
	}
	p.touch(fd)
}

// touch has a registration told to the kernel by the next Wait, or at once if a
// host decides by FD when that is.
func (p *kqueue) touch(fd int32) {
	r := &p.regs[fd]
	if p.hosted {
		if p.apply(fd) != nil {
			p.hangUp(fd)
		}
		return
	}
	if !r.dirty {
		r.dirty = true
		p.dirty = append(p.dirty, fd)
	}
}

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
	r := p.reg(int(k.Ident))
	if k.Filter == kevent.EVFILT_PROC || r == nil || r.interest == 0 || unix.Errno(k.Data) == unix.ENOENT {
		return
	}
	filter := readFilter
	if k.Filter == kevent.EVFILT_WRITE {
		filter = writeFilter
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
	case err == unix.EPIPE, err == unix.EBADF && filter == writeFilter && isOpen(fd):
		p.hangUp(fd) // EBADF is NetBSD's word for it
		return nil
	case r.want()[filter] == edge && err != unix.EBADF && err != unix.ENOMEM:
		return nil
	}
	return err
}

func isOpen(fd int32) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// hangUp has every further Wait report a hang-up. A hang-up is final, so that no
// filter needs to be asked again.
func (p *kqueue) hangUp(fd int32) {
	if r := &p.regs[fd]; !r.hung && r.interest != 0 {
		r.hung = true
		p.hung = append(p.hung, fd)
		p.remind()
	}
}

// reportFD translates the report of a read or write filter.
func (p *kqueue) reportFD(k *kevent.Event) {
	fd := int32(k.Ident)
	r := p.reg(int(fd))
	if r == nil || r.interest == 0 || uint32(k.Udata[0]) != r.gen {
		return // cannot be: changes come before events, and a close takes its filters with it
	}
	filter, ready := readFilter, Read
	if k.Filter == kevent.EVFILT_WRITE {
		filter, ready = writeFilter, Write
	}
	switch {
	case k.Flags&kevent.EV_EOF != 0 && p.gone(r, k):
		// An edge tells only once, and so does the write filter of a pipe on FreeBSD,
		// where it goes with the read end that it was attached to.
		if r.have[filter] == edge || !r.socket && filter == writeFilter {
			p.hangUp(fd)
		}
		p.merge(fd, everything)
	case r.have[filter] == level:
		p.merge(fd, ready)
	}
}

// gone tells a hang-up from the end of one direction. Both are EV_EOF: of a
// socket's read filter when the other side has ended its writing, of its write
// filter when this side has. Of a pipe there is only one direction, and data that
// is still in it is reported along.
func (p *kqueue) gone(r *kqueueReg, k *kevent.Event) bool {
	return !r.socket || k.Fflags != 0 || p.queue.Disconnected(int(k.Ident))
}

// Rebuild deletes what is registered. There cannot be more in a queue: the
// registrations of a descriptor go when it is closed, whoever has a duplicate.
func (p *kqueue) Rebuild() error {
	for fd := range p.regs {
		p.regs[fd].interest = 0
		_ = p.apply(int32(fd)) // of deletions there is no error
	}
	clear(p.regs)
	p.dirty, p.hung, p.events = p.dirty[:0], p.hung[:0], p.events[:0]
	return nil
}
