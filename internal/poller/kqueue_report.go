package poller

import "github.com/evfork/evfork/internal/poller/kevent"

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
