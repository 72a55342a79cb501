package poller

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// wakeFD marks the waker's own events. No descriptor is negative.
	wakeFD = -1
)

type epoll struct {
	epfd   int
	outer  int // epoll descriptor that contains epfd, for FD; -1 until asked for
	waker  int // eventfd, edge-triggered and never read: one syscall per wake-up
	kernel []unix.EpollEvent
	events []Event
	millis bool // epoll_pwait2 is refused: count in milliseconds
}

var _ KeepingPoller = (*epoll)(nil)

func openEpoll() (Poller, error) {
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &epoll{epfd: -1, outer: -1, waker: waker}
	p.grow(minEvents)
	if err := p.create(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// create makes the epoll set with nothing but the waker in it.
func (p *epoll) create() error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	p.epfd = epfd
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeFD}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, p.waker, &ev))
}

func (p *epoll) grow(n int) {
	p.kernel = make([]unix.EpollEvent, n)
	p.events = make([]Event, 0, n)
}

// Name implements Poller.
func (p *epoll) Name() string { return "epoll" }

// FD nests the set in an outer one made on first use: the inner descriptor
// changes when the set is rebuilt, and a host must not notice.
func (p *epoll) FD() (int, error) {
	if p.outer >= 0 {
		return p.outer, nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("epoll_create1", err)
	}
	p.outer = fd
	if err := p.nest(); err != nil {
		unix.Close(fd)
		p.outer = -1
		return -1, err
	}
	return fd, nil
}

func (p *epoll) nest() error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(p.epfd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.outer, unix.EPOLL_CTL_ADD, p.epfd, &ev))
}

// Add costs one epoll_ctl. Its errno is the error: EEXIST, EPERM for a file that never
// blocks, ENOSPC at the user's limit of watches.
func (p *epoll) Add(fd int, gen uint32, interest Interest) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, gen, interest)
}

// Modify costs one epoll_ctl. It returns ENOENT for what is not registered.
func (p *epoll) Modify(fd int, gen uint32, interest Interest) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, gen, interest)
}

// Remove reports EBADF too: the caller closed the descriptor first, and if a
// duplicate of it lives somewhere the kernel goes on reporting it.
func (p *epoll) Remove(fd int) error {
	return p.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
}

// control is RawSyscall: epoll_ctl does not block, and this is the hot path of
// servers with short connections.
func (p *epoll) control(op, fd int, gen uint32, interest Interest) error {
	ev := unix.EpollEvent{Fd: int32(fd), Pad: int32(gen)}
	if interest&Read != 0 {
		ev.Events |= unix.EPOLLIN
	}
	if interest&Write != 0 {
		ev.Events |= unix.EPOLLOUT
	}
	if interest&Edge != 0 {
		ev.Events |= unix.EPOLLET
	}
	// HangUp needs no bit of its own: EPOLLERR and EPOLLHUP are always reported.
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// Wait returns what is ready, in a slice that the next Wait fills again. Its array doubles when it was
// full, up to maxEvents. A signal ends the wait without events, and is no error.
func (p *epoll) Wait(timeout time.Duration) ([]Event, error) { return p.report(timeout, timeout == 0) }

// WaitKeeping implements KeepingPoller.
func (p *epoll) WaitKeeping(timeout time.Duration) ([]Event, error) { return p.report(timeout, true) }

func (p *epoll) report(timeout time.Duration, keeps bool) ([]Event, error) {
	if len(p.events) == len(p.kernel) && len(p.kernel) < maxEvents {
		p.grow(2 * len(p.kernel))
	}
	n, e := p.wait(timeout, keeps)
	if e != 0 && e != unix.EINTR {
		return nil, os.NewSyscallError("epoll_wait", e)
	}
	if e != 0 {
		n = 0
	}
	p.events = p.events[:0]
	for i := range p.kernel[:n] {
		k := &p.kernel[i]
		if k.Fd != wakeFD {
			p.events = append(p.events, Event{FD: k.Fd, Gen: uint32(k.Pad), Ready: readiness(k.Events)})
		}
	}
	return p.events, nil
}

// readiness translates epoll's bits; rule 4 of the contract.
func readiness(bits uint32) (r Interest) {
	if bits&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		return everything
	}
	if bits&unix.EPOLLIN != 0 {
		r |= Read
	}
	if bits&unix.EPOLLOUT != 0 {
		r |= Write
	}
	return r
}

// wait keeps the processor (RawSyscall), or lends it to other goroutines if it blocks. The
// conversions to uintptr must stand in the calls, so there is one of each kind.
func (p *epoll) wait(timeout time.Duration, keeps bool) (n int, e syscall.Errno) {
	if timeout > 0 && !p.millis {
		n, e = p.waitNanos(timeout, keeps)
		if e == 0 || e == unix.EINTR {
			return n, e
		}
		// Linux before 5.11, or a seccomp filter that has not heard of it, whichever error its author has
		// chosen. What else may be wrong, the older call will say as well.
		p.millis = true
	}
	var r uintptr
	ms := uintptr(pollMillis(timeout))
	if keeps {
		r, _, e = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epfd), p.array(), uintptr(len(p.kernel)), ms, 0, 0)
	} else {
		r, _, e = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epfd), p.array(), uintptr(len(p.kernel)), ms, 0, 0)
	}
	return int(r), e
}

func (p *epoll) waitNanos(timeout time.Duration, keeps bool) (n int, e syscall.Errno) {
	// struct __kernel_timespec: 64 bits each, on 32-bit machines too.
	ts := [2]int64{int64(timeout / time.Second), int64(timeout % time.Second)}
	var r uintptr
	if keeps {
		r, _, e = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), p.array(), uintptr(len(p.kernel)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	} else {
		r, _, e = syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), p.array(), uintptr(len(p.kernel)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	return int(r), e
}

func (p *epoll) array() uintptr { return uintptr(unsafe.Pointer(&p.kernel[0])) }

// Wake adds to the eventfd, which is an edge each time. The counter is never
// read, so it would be full after 2^64-2 wake-ups; EAGAIN empties it then.
func (p *epoll) Wake() error {
	one := [8]byte{1} // byte order does not matter: any non-zero value is an edge
	for {
		_, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.waker), uintptr(unsafe.Pointer(&one)), 8)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			var full [8]byte
			syscall.RawSyscall(syscall.SYS_READ, uintptr(p.waker), uintptr(unsafe.Pointer(&full)), 8)
		default:
			return os.NewSyscallError("write", e)
		}
	}
}

// Rebuild gives up the old set only when the new one can replace it in FD, too.
func (p *epoll) Rebuild() error {
	old := p.epfd
	err := p.create()
	if err == nil && p.outer >= 0 {
		err = p.nest()
	}
	if err != nil {
		if p.epfd != old {
			unix.Close(p.epfd)
		}
		p.epfd = old
		return err
	}
	unix.Close(old)
	p.events = p.events[:0]
	return nil
}

// Close closes the set, the set around it, and the waker; each is tried, and all errors are returned.
func (p *epoll) Close() error {
	var errs []error
	for _, fd := range []int{p.outer, p.epfd, p.waker} {
		if fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
		}
	}
	p.outer, p.epfd, p.waker = -1, -1, -1
	return errors.Join(errs...)
}
