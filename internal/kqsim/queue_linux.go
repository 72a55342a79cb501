package kqsim

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// A Queue is a simulated kqueue: a kevent.Queue. Its methods may be called by
// several goroutines, as kevent(2) may.
//
// A filter of each kind is a registration in an epoll set of its kind, because
// one descriptor can have two filters, one a level and one an edge. All sets and
// an eventfd for what no set can watch are in an outer set, which is the queue's
// descriptor.
type Queue struct {
	quirks Quirks

	mu    sync.Mutex
	outer int
	sets  [setCount]int
	held  int // eventfd, readable while something that is in no set is to be reported
	notes map[key]*note
	found []unix.EpollEvent // scratch of scanSet
	turn  int               // which set is asked first
	waits int               // for InterruptEvery

	scanning atomic.Int32 // calls that ask for events, for SoleScan
}

// The epoll sets.
const (
	noSet   = -1
	readSet = iota - 1
	writeSet
	procSet
	setCount
)

// key is what a registration is known by.
type key struct {
	filter kevent.Filter
	ident  uintptr
}

// New opens a queue with the quirks of some system.
func New(quirks Quirks) (*Queue, error) {
	q := &Queue{quirks: quirks, outer: -1, sets: [setCount]int{-1, -1, -1}, held: -1, notes: make(map[key]*note)}
	err := q.open()
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

func (q *Queue) open() (err error) {
	if q.outer, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if q.held, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err = q.nest(q.held); err != nil {
		return err
	}
	for set := range q.sets {
		if err = q.renew(set); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) nest(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(q.outer, unix.EPOLL_CTL_ADD, fd, &ev))
}

// renew makes a set anew from its notes. A closed descriptor of which somebody
// holds a duplicate leaves a registration in a set that nothing else removes,
// where a kqueue would have dropped it.
func (q *Queue) renew(set int) error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if q.sets[set] >= 0 {
		unix.Close(q.sets[set])
	}
	q.sets[set] = fd
	for k, n := range q.notes {
		if n.set != set {
			continue
		}
		if !n.alive() {
			q.forget(k)
			continue
		}
		if err := q.watch(n); err != nil {
			q.forget(k)
		}
	}
	return q.nest(fd)
}

// Kevent is kevent(2).
func (q *Queue) Kevent(changes, events []kevent.Event, timeout *unix.Timespec) (int, error) {
	if timeout != nil && (timeout.Sec < 0 || q.quirks.LongTimeout && timeout.Sec > 100_000_000) {
		return 0, unix.EINVAL
	}
	if len(events) > 0 {
		defer q.scanning.Add(-1)
		if q.scanning.Add(1) > 1 && q.quirks.SoleScan {
			panic("kqsim: two calls ask for events at the same time: one of them could miss some")
		}
	}
	n, err := q.change(changes, events)
	if n > 0 || err != nil || len(events) == 0 {
		return n, err
	}
	limit := time.Duration(-1)
	if timeout != nil {
		limit = time.Duration(timeout.Nano())
	}
	for start := time.Now(); ; {
		if n, err := q.scan(events); n > 0 || err != nil {
			return n, err
		}
		left := limit
		if limit >= 0 {
			if left -= time.Since(start); left <= 0 {
				return 0, nil
			}
		}
		if q.interrupted() {
			return 0, unix.EINTR
		}
		if err := q.block(left); err != nil {
			return 0, err
		}
	}
}

// interrupted counts the calls that are about to sleep: only these are EINTR.
func (q *Queue) interrupted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waits++
	return q.quirks.InterruptEvery > 0 && q.waits%q.quirks.InterruptEvery == 0
}

// block waits until something has happened. ppoll and not epoll_wait, so that
// nothing is taken from the set, and for its nanoseconds.
func (q *Queue) block(limit time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(q.outer), Events: unix.POLLIN}}
	if limit < 0 {
		_, err := unix.Ppoll(fds, nil, nil)
		return err
	}
	ts := unix.NsecToTimespec(int64(limit))
	_, err := unix.Ppoll(fds, &ts, nil)
	return err
}

// FD is the queue's descriptor.
func (q *Queue) FD() int { return q.outer }

// Disconnected reports whether a socket has lost its peer. Linux answers
// getpeername for as long as the socket exists.
func (q *Queue) Disconnected(fd int) bool {
	return conditions(fd)&(unix.POLLHUP|unix.POLLERR) != 0
}

// Verify checks that the notes and what the kernel has agree.
func (q *Queue) Verify() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, n := range q.notes {
		if k.filter != n.filter || k.ident != n.ident {
			return fmt.Errorf("kqsim: a note of %d, %d is kept as that of %d, %d", n.filter, n.ident, k.filter, k.ident)
		}
		if n.set == noSet || !n.alive() {
			continue
		}
		ev := unix.EpollEvent{Events: n.bits(), Fd: int32(n.ident)}
		err := unix.EpollCtl(q.sets[n.set], unix.EPOLL_CTL_MOD, n.watched(), &ev)
		if watched := err == nil; watched != n.watching() {
			return fmt.Errorf("kqsim: filter %d of %d: watched by the kernel is %v, disabled is %v", n.filter, n.ident, watched, n.disabled)
		}
	}
	return nil
}

// Close closes the queue and what it has opened.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k := range q.notes {
		q.forget(k)
	}
	var errs []error
	for _, fd := range append(q.sets[:], q.held, q.outer) {
		if fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
		}
	}
	q.sets, q.held, q.outer = [setCount]int{-1, -1, -1}, -1, -1
	return errors.Join(errs...)
}
