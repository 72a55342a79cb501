package poller

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
	"github.com/evfork/evfork/internal/waitpeek"
)

// AddProcess registers a process's exit. A zombie is ESRCH on some systems, is
// reported at once on others, and is said to be registered and never reported on
// some versions of macOS: here it is always reported, once.
func (p *kqueue) AddProcess(pid int, gen uint32) error {
	c := kevent.Event{
		Ident:  uintptr(pid),
		Filter: kevent.EVFILT_PROC,
		Flags:  kevent.EV_ADD | kevent.EV_ENABLE | kevent.EV_ONESHOT,
		Fflags: kevent.NOTE_EXIT,
	}
	c.Udata[0] = uintptr(gen)
	err := p.change(c)
	switch {
	case err == nil && !gone(pid):
		return nil
	case err == nil:
		p.removeProcess(pid) // with its report, if that is there
	case err != unix.ESRCH || !waits(pid):
		return err
	}
	p.exited = append(p.exited, Event{FD: int32(pid), Gen: gen, Ready: Exited})
	p.remind()
	return nil
}

// gone reports whether a process that was registered has exited before: it can be
// waited for, or somebody has done so meanwhile.
func gone(pid int) bool {
	exited, err := waitpeek.Exited(pid)
	return exited || err == unix.ECHILD && unix.Kill(pid, 0) == unix.ESRCH
}

// waits reports whether a process that cannot be registered is there to be waited
// for. A child is: it has exited, though wait4 may not know yet. Where nobody can
// tell, a number that can be signalled is one.
func waits(pid int) bool {
	_, err := waitpeek.Exited(pid)
	return err == nil || err == unix.ENOSYS && unix.Kill(pid, 0) == nil
}

// RemoveProcess forgets a process. The registration may have gone with the exit.
func (p *kqueue) RemoveProcess(pid int) {
	p.exited = slices.DeleteFunc(p.exited, func(ev Event) bool { return ev.FD == int32(pid) })
	p.removeProcess(pid)
}

func (p *kqueue) removeProcess(pid int) {
	_ = p.change(kevent.Event{Ident: uintptr(pid), Filter: kevent.EVFILT_PROC, Flags: kevent.EV_DELETE})
}
