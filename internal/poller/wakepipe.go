package poller

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A wakePipe is a waker for pollers whose system has nothing better.
type wakePipe struct{ r, w int }

func openWakePipe() (p *wakePipe, err error) {
	var fds [2]int
	// pipe2 is not everywhere: the lock keeps a fork from happening in between.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		err = errors.Join(err, os.NewSyscallError("fcntl", unix.SetNonblock(fd, true)))
	}
	p = &wakePipe{r: fds[0], w: fds[1]}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// wake writes a byte. A full pipe is a wake-up already. Goroutine-safe.
func (p *wakePipe) wake() error {
	one := [1]byte{1}
	for {
		_, err := unix.Write(p.w, one[:])
		switch {
		case err == unix.EINTR:
		case err == nil, err == unix.EAGAIN:
			return nil
		default:
			return os.NewSyscallError("write", err)
		}
	}
}

// drain makes the pipe unreadable. It comes after the report of its readiness
// and before anything is done for it, so that a later wake is not lost.
func (p *wakePipe) drain() {
	var buf [64]byte
	for {
		n, err := unix.Read(p.r, buf[:])
		if err != unix.EINTR && n < len(buf) {
			return
		}
	}
}

func (p *wakePipe) close() error {
	return errors.Join(os.NewSyscallError("close", unix.Close(p.r)), os.NewSyscallError("close", unix.Close(p.w)))
}
