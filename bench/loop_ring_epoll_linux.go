package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bareLoops has epoll with nothing around it: cloop/epoll.c in Go.
func bareLoops() map[string]func() (ringTurns, error) {
	return map[string]func() (ringTurns, error){"epoll (Go)": openEpollTurns}
}

// epollTurns wait without telling Go's scheduler: they do not block.
type epollTurns struct {
	epfd  int
	ring  *goRing
	ready [4096]unix.EpollEvent
}

func openEpollTurns() (ringTurns, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &epollTurns{epfd: epfd}, os.NewSyscallError("epoll_create1", err)
}

func (t *epollTurns) watch(fd int, ring *goRing, i int) error {
	t.ring = ring
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(t.epfd, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (t *epollTurns) run(done func() bool) error {
	for !done() {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(t.epfd), uintptr(unsafe.Pointer(&t.ready)), uintptr(len(t.ready)), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return os.NewSyscallError("epoll_pwait", errno)
		}
		if errno != 0 {
			continue
		}
		for i := range t.ready[:n] {
			t.ring.receive(int(t.ready[i].Fd))
		}
	}
	return nil
}

func (t *epollTurns) close() error { return os.NewSyscallError("close", unix.Close(t.epfd)) }
