package poller

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// AddProcess registers a process's exit. A zombie is ESRCH on some systems and
// reported at once on others: here it is always reported.
func (p *kqueue) AddProcess(pid int, gen uint32) error {
	c := kevent.Event{
		Ident:  uintptr(pid),
		Filter: kevent.EVFILT_PROC,
		Flags:  kevent.EV_ADD | kevent.EV_ENABLE | kevent.EV_ONESHOT,
		Fflags: kevent.NOTE_EXIT,
	}
	c.Udata[0] = uintptr(gen)
	err := p.change(c)
	if err == unix.ESRCH && zombie(pid) {
		p.exited = append(p.exited, Event{FD: int32(pid), Gen: gen, Ready: Exited})
		p.remind()
		return nil
	}
	return err
}

// zombie reports whether a process has exited and not been reaped. Where nobody
// can tell, a number that can be signalled but not watched is one.
func zombie(pid int) bool {
	exited, err := waitpeek.Exited(pid)
	if err == unix.ENOSYS {
		return unix.Kill(pid, 0) == nil
	}
	return exited
}

// RemoveProcess forgets a process. The registration may have gone with the exit.
func (p *kqueue) RemoveProcess(pid int) {
	p.exited = slices.DeleteFunc(p.exited, func(ev Event) bool { return ev.FD == int32(pid) })
	_ = p.change(kevent.Event{Ident: uintptr(pid), Filter: kevent.EVFILT_PROC, Flags: kevent.EV_DELETE})
}
