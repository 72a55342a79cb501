package rpc

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// syncWaker ends the poll(2) of a handler's wait when its ctx ends: a pipe, which
// a server makes when it first needs it.
type syncWaker struct {
	r      int
	mu     sync.Mutex
	w      int
	closed bool
}

func openSyncWaker() (*syncWaker, error) {
	var fds [2]int
	// pipe2 is not everywhere: the lock keeps a fork from happening in between.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	var err error
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		err = errors.Join(err, os.NewSyscallError("fcntl", unix.SetNonblock(fd, true)))
	}
	k := &syncWaker{r: fds[0], w: fds[1]}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// wake makes the pipe readable. A full one is, and a signal does not interrupt what
// does not block.
func (k *syncWaker) wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		_, _ = unix.Write(k.w, []byte{1})
	}
}

// drain makes the pipe unreadable, before the wait that it is to end.
func (k *syncWaker) drain() {
	var buf [64]byte
	for {
		if n, err := unix.Read(k.r, buf[:]); err != unix.EINTR && n < len(buf) {
			return
		}
	}
}

func (k *syncWaker) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	_ = unix.Close(k.r)
	_ = unix.Close(k.w)
}

// wakeAtEnd has the end of ctx end the wait.
func (y *syncServer) wakeAtEnd(ctx context.Context) (stop func() bool, err error) {
	if !y.endsItself(ctx) {
		return func() bool { return true }, nil
	}
	if y.wait.waker == nil {
		if y.wait.waker, err = openSyncWaker(); err != nil {
			return nil, err
		}
	}
	y.wait.waker.drain()
	return context.AfterFunc(ctx, y.wait.waker.wake), nil
}

// endsItself reports whether ctx may end otherwise than at its deadline while its
// handler waits: the handler's own ctx ends only by what is read.
func (y *syncServer) endsItself(ctx context.Context) bool {
	return ctx != context.Context(y.ctx) && ctx.Done() != nil
}

// closeWaker is the end of the server.
func (y *syncServer) closeWaker() {
	if y.wait.waker != nil {
		y.wait.waker.close()
	}
}
