package poller

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// maxKqueueWait is as long as one kevent(2) waits: Darwin refuses more than about
// three years with EINVAL, and the loop simply waits again.
const maxKqueueWait = 1_000_000 * time.Second

// kqueue puts off Modify and Remove: what has changed since the last Wait goes
// to the kernel together with the next, in the same system call, and what was
// undone meanwhile not at all. Add is a system call of its own, because the caller
// wants to know of its error.
//
// It has no build tag: see the documentation of package kevent.
type kqueue struct {
	queue   kevent.Queue
	waker   *wakePipe      // nil: EVFILT_USER
	trigger []kevent.Event // of EVFILT_USER; read by all goroutines, so never changed
	none    unix.Timespec  // a timeout of zero; likewise
	hosted  bool           // FD has been asked for: changes must not wait for a Wait

	regs   []kqueueReg // by descriptor
	dirty  []int32     // registrations that the kernel does not know in their present form
	hung   []int32     // known to have hung up, though no filter may tell again
	exited []Event     // processes that had exited before they were registered

	one     [1]kevent.Event // a change made at once
	changes []kevent.Event
	kernel  []kevent.Event
	full    bool // the kernel's array came back full
	events  []Event
	timeout unix.Timespec
}

var (
	_ Poller        = (*kqueue)(nil)
	_ ProcessPoller = (*kqueue)(nil)
)

// NewKqueue makes a poller of a queue, which becomes the poller's own.
func NewKqueue(queue kevent.Queue) (Poller, error) {
	p := &kqueue{queue: queue}
	p.grow(minEvents)
	if err := p.openWaker(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func openKqueueOf(open func() (kevent.Queue, error)) (Poller, error) {
	q, err := open()
	if err != nil {
		return nil, err
	}
	return NewKqueue(q)
}

// openWaker tries EVFILT_USER, by using it once: NetBSD before 10 and OpenBSD
// before 7.8 do not have it. It comes before any goroutine could wake: a trigger
// without a registration is ENOENT.
func (p *kqueue) openWaker() error {
	add := kevent.Event{Filter: kevent.EVFILT_USER, Flags: kevent.EV_ADD | kevent.EV_ENABLE | kevent.EV_CLEAR}
	p.trigger = []kevent.Event{{Filter: kevent.EVFILT_USER, Fflags: kevent.NOTE_TRIGGER}}
	if p.change(add) == nil {
		if p.change(p.trigger[0]) == nil {
			n, err := p.queue.Kevent(nil, p.kernel, &p.none)
			if err == nil && n == 1 && p.kernel[0].Filter == kevent.EVFILT_USER && p.kernel[0].Flags&kevent.EV_ERROR == 0 {
				return nil
			}
		}
		add.Flags = kevent.EV_DELETE
		_ = p.change(add) // of a filter that does not work
	}
	waker, err := openWakePipe()
	if err != nil {
		return err
	}
	p.waker = waker
	return os.NewSyscallError("kevent", p.change(kevent.Event{
		Ident:  uintptr(waker.r),
		Filter: kevent.EVFILT_READ,
		Flags:  kevent.EV_ADD | kevent.EV_ENABLE | kevent.EV_CLEAR,
	}))
}

func (p *kqueue) grow(n int) {
	p.kernel = make([]kevent.Event, n)
	p.events = make([]Event, 0, n)
}

// Name implements Poller.
func (p *kqueue) Name() string { return "kqueue" }

// FD is the queue itself. A host polls only when it is readable, so from now on
// changes are made at once.
func (p *kqueue) FD() (int, error) {
	p.hosted = true
	p.settle()
	return p.queue.FD(), nil
}

// Wait makes the changes that are due and asks for events, in one call. If a
// change fails, kevent reports that instead of events, and is asked again.
func (p *kqueue) Wait(timeout time.Duration) ([]Event, error) {
	if p.full && len(p.kernel) < maxEvents {
		p.grow(2 * len(p.kernel))
	}
	p.events = p.events[:0]
	p.collect()
	if len(p.changes) > len(p.kernel) {
		p.grow(len(p.changes)) // or an error without room would end the call amid the changes
	}
	n, err := p.ask(p.changes, timeout)
	if err == nil && p.failures(n) {
		n, err = p.ask(nil, timeout)
	}
	if err != nil {
		return nil, os.NewSyscallError("kevent", err)
	}
	p.full = n == len(p.kernel)
	for i := range p.kernel[:n] {
		p.report(&p.kernel[i])
	}
	p.reportKnown()
	return p.events, nil
}

// ask is one kevent(2). EINTR is no event: the changes have been made.
func (p *kqueue) ask(changes []kevent.Event, timeout time.Duration) (int, error) {
	if len(p.hung) > 0 || len(p.exited) > 0 {
		timeout = 0
	}
	var limit *unix.Timespec
	if timeout >= 0 {
		limit = &p.timeout
		p.timeout = unix.NsecToTimespec(int64(min(timeout, maxKqueueWait)))
	}
	n, err := p.queue.Kevent(changes, p.kernel, limit)
	if err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

// report translates an event of the kernel's; who it is for depends on the
// filter as well as on the number.
func (p *kqueue) report(k *kevent.Event) {
	switch k.Filter {
	case kevent.EVFILT_READ, kevent.EVFILT_WRITE:
		if p.waker != nil && k.Ident == uintptr(p.waker.r) {
			p.waker.drain()
			return
		}
		p.reportFD(k)
	case kevent.EVFILT_PROC:
		p.events = append(p.events, Event{FD: int32(k.Ident), Gen: uint32(k.Udata[0]), Ready: Exited})
	}
}

// reportKnown adds what was found out without a filter that would tell, or would
// tell again.
func (p *kqueue) reportKnown() {
	for _, fd := range p.hung {
		p.merge(fd, everything)
	}
	p.events = append(p.events, p.exited...)
	p.exited = p.exited[:0]
	p.remind()
}

// remind makes FD readable while something is known that no filter will tell.
func (p *kqueue) remind() {
	if p.hosted && (len(p.hung) > 0 || len(p.exited) > 0) {
		_ = p.Wake() // the waker is our own, and open: no error is possible
	}
}

// merge makes one event of the reports of both filters of a descriptor.
func (p *kqueue) merge(fd int32, ready Interest) {
	r := &p.regs[fd]
	if int(r.at) < len(p.events) {
		if ev := &p.events[r.at]; ev.FD == fd && ev.Ready&Exited == 0 {
			ev.Ready |= ready
			return
		}
	}
	r.at = int32(len(p.events))
	p.events = append(p.events, Event{FD: fd, Gen: r.gen, Ready: ready})
}

// Wake triggers EVFILT_USER, or writes to the pipe. It changes nothing in p.
// Without room for events kevent does not wait, which makes it safe on NetBSD
// before 10, where two threads waiting in one queue could miss events.
func (p *kqueue) Wake() error {
	if p.waker != nil {
		return p.waker.wake()
	}
	_, err := p.queue.Kevent(p.trigger, nil, &p.none)
	if err == unix.EINTR {
		return nil
	}
	return os.NewSyscallError("kevent", err)
}

// Close closes the queue, and with it every registration.
func (p *kqueue) Close() error {
	err := p.queue.Close()
	if p.waker != nil {
		err = errors.Join(err, p.waker.close())
		p.waker = nil
	}
	return err
}
