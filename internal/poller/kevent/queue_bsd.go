//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package kevent

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each of these does not compile if the cast below would be wrong.
const (
	_ = -(unsafe.Sizeof(Event{}) ^ unsafe.Sizeof(unix.Kevent_t{}))
	_ = -(unsafe.Offsetof(Event{}.Filter) ^ unsafe.Offsetof(unix.Kevent_t{}.Filter))
	_ = -(unsafe.Offsetof(Event{}.Flags) ^ unsafe.Offsetof(unix.Kevent_t{}.Flags))
	_ = -(unsafe.Offsetof(Event{}.Fflags) ^ unsafe.Offsetof(unix.Kevent_t{}.Fflags))
	_ = -(unsafe.Offsetof(Event{}.Data) ^ unsafe.Offsetof(unix.Kevent_t{}.Data))
	_ = -(unsafe.Offsetof(Event{}.Udata) ^ unsafe.Offsetof(unix.Kevent_t{}.Udata))
	_ = -(unsafe.Sizeof(Event{}.Filter) ^ unsafe.Sizeof(unix.Kevent_t{}.Filter))
	_ = -(unsafe.Sizeof(Event{}.Flags) ^ unsafe.Sizeof(unix.Kevent_t{}.Flags))
	_ = -(unsafe.Alignof(Event{}) ^ unsafe.Alignof(unix.Kevent_t{}))
)

// And the constants that stand in kevent.go once for all systems.
const (
	_ = -uint(EV_ADD ^ unix.EV_ADD)
	_ = -uint(EV_DELETE ^ unix.EV_DELETE)
	_ = -uint(EV_ENABLE ^ unix.EV_ENABLE)
	_ = -uint(EV_CLEAR ^ unix.EV_CLEAR)
	_ = -uint(EV_ONESHOT ^ unix.EV_ONESHOT)
	_ = -uint(EV_ERROR ^ unix.EV_ERROR)
	_ = -uint(EV_EOF ^ unix.EV_EOF)
	_ = -uint64(NOTE_EXIT ^ unix.NOTE_EXIT)
)

type queue int

// Open returns a new queue of the operating system's.
func Open() (Queue, error) {
	// kqueue1 with its flag for CLOEXEC is not everywhere.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(fd)
	return queue(fd), nil
}

// Kevent goes through the scheduler, because it may sleep. The kernel writes to events
// only; both lists are the caller's again when it returns. The error is the errno itself.
func (q queue) Kevent(changes, events []Event, timeout *unix.Timespec) (int, error) {
	return unix.Kevent(int(q), system(changes), system(events), timeout)
}

// system is the same memory as the kernel's struct: the compiler has checked that it may be.
func system(list []Event) []unix.Kevent_t {
	return unsafe.Slice((*unix.Kevent_t)(unsafe.Pointer(unsafe.SliceData(list))), len(list))
}

// FD stays the queue's: it is closed by Close.
func (q queue) FD() int { return int(q) }

// Disconnected asks for the peer's name: a socket that has been shut down in one
// direction still has a peer.
func (q queue) Disconnected(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err != nil
}

// Close closes the descriptor. The kernel drops every registration with it.
func (q queue) Close() error { return os.NewSyscallError("close", unix.Close(int(q))) }
