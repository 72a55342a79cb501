package poller

import (
	"slices"

	"golang.org/x/sys/unix"
)

// reg is nil for a descriptor that was never registered.
func (p *kqueue) reg(fd int) *kqueueReg {
	if fd < 0 || fd >= len(p.regs) {
		return nil
	}
	return &p.regs[fd]
}

// Add registers at once, in a kevent of its own, so that the error is the caller's: EEXIST
// if fd is registered, EPERM for a file that never blocks, or the kernel's.
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
	*r = kqueueReg{
		interest: interest, socket: socket, writeEnd: !socket && isWriteOnly(fd),
		gen: gen, haveGen: ^gen, have: r.have, dirty: r.dirty,
	}
	if err := p.apply(int32(fd)); err != nil {
		p.withdraw(int32(fd))
		return err
	}
	return nil
}

// Modify makes a note of the change, which the next Wait hands to the kernel. It returns
// ENOENT for what is not registered; a refusal of the kernel is then an event.
func (p *kqueue) Modify(fd int, gen uint32, interest Interest) error {
	r := p.reg(fd)
	if r == nil || r.interest == 0 {
		return unix.ENOENT
	}
	r.interest, r.gen = interest, gen
	p.touch(int32(fd))
	return nil
}

// Remove withdraws the filters, before fd is closed. It returns ENOENT for what is not
// registered; that the kernel has no filter any more is no error.
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
