package reactor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/poller"
)

// RunParked is Run without a thread of its own: while the loop waits, its goroutine
// is parked in Go's netpoller, like one that reads from a connection, where Run's
// occupies a thread in a system call. It is for programs with many loops, most of
// them idle. Waking up takes longer, by way of the scheduler, and timers are as
// punctual as Go's.
//
// If the loop's poller has no descriptor that Go's can wait for, which is so for
// poll(2), on kqueue, and for injected pollers, it returns an error that is
// ErrUnsupported, before anything is run.
func (l *Loop) RunParked(ctx context.Context) error {
	return l.within(func() error {
		p, err := newParking(l)
		if err != nil {
			return err
		}
		l.parking = p
		defer p.close()
		return l.iterateUntil(ctx, func() bool { return false }, nil)
	})
}

// parking is how a loop waits in Go's netpoller.
type parking struct {
	loop    *Loop
	file    *os.File // a duplicate of what FD returns
	conn    syscall.RawConn
	look    func(fd uintptr) bool // the method arrived, bound once
	limited bool                  // file has a deadline, perhaps one that is over

	events []poller.Event // what arrived has found
	err    error
}

func newParking(l *Loop) (*parking, error) {
	fd, err := l.dupFD()
	if err != nil {
		return nil, err
	}
	// NewFile gives to the netpoller only what does not block. To an epoll set it
	// makes no difference, so it does not matter that FD's description is the same.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, &OpError{Op: "set non-blocking", FD: fd, Err: fmt.Errorf("%w: %w", ErrUnsupported, err)}
	}
	p := &parking{loop: l, file: os.NewFile(uintptr(fd), "reactor")}
	p.look = p.arrived
	err = p.file.SetReadDeadline(time.Time{}) // refused if the netpoller has refused the file
	if err == nil {
		p.conn, err = p.file.SyscallConn()
	}
	if err != nil {
		p.file.Close()
		return nil, &OpError{Op: "park", FD: -1, Err: fmt.Errorf("%w: %w", ErrUnsupported, err)}
	}
	return p, nil
}

func (p *parking) close() {
	p.loop.parking = nil
	p.file.Close()
}

// wait is the poller's Wait, parked. A timeout of zero comes with a post, for which
// the first look ends it.
func (p *parking) wait(timeout time.Duration) ([]poller.Event, error) {
	if timeout > 0 || p.limited {
		var deadline time.Time
		if timeout > 0 {
			deadline = time.Now().Add(timeout)
		}
		if err := p.file.SetReadDeadline(deadline); err != nil {
			return nil, opError("park", -1, err)
		}
		p.limited = timeout > 0
	}
	switch err := p.conn.Read(p.look); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return p.loop.ask(0)
	case err != nil:
		return nil, opError("park", -1, err)
	}
	return p.events, p.err
}

// arrived looks for what ends the wait. The netpoller is edge-triggered: it tells
// only of what comes after a look that has found nothing. A look also takes the
// poller's wake-up, for which posts answers: it is set before any wake-up.
func (p *parking) arrived(uintptr) bool {
	p.events, p.err = p.loop.ask(0)
	return len(p.events) > 0 || p.err != nil || p.loop.posts.any()
}

// dupFD returns a duplicate of FD, which stays valid if the loop is closed.
func (l *Loop) dupFD() (int, error) {
	fd, err := l.FD()
	if err != nil {
		return -1, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return dup, opError("dup", fd, err)
}
