package rpc

import (
	"context"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// syncWait is what a syncServer has read inside a handler that waits for the parent.
// Frames that are for the handler take effect; the others stay where the decoder will
// come to them, in their order. What is read goes behind them in a buffer that is
// not the one of the main loop's reads: the handler's request may be in that.
type syncWait struct {
	unseen int    // bytes at the end of the decoder's input that sift has not looked at
	own    bool   // the decoder's input is in buf
	failed error  // what was found by sift: the server cannot go on
	buf    []byte // empty, with the capacity
	waker  *syncWaker
}

// waitFor reads what the parent sends, inside a running handler and on its
// goroutine, until cond is true. It returns an error when ctx has ended, when the
// call that is being handled has been cancelled, when the parent has closed its side and
// when it cannot be understood.
//
// Calls that come meanwhile wait for their turn, and cancels among them take
// effect. There is no limit to them here, because what waitFor waits for may be behind
// them; see holdBack.
func (y *syncServer) waitFor(ctx context.Context, cond func() bool) error {
	if y.wait.failed != nil {
		return y.wait.failed
	}
	stop, err := y.wakeAtEnd(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for {
		if err := y.sift(); err != nil {
			y.wait.failed = err
			y.upcalls.end(err)
			if cond() {
				return nil // which says why
			}
			return err
		}
		if cond() {
			return nil
		}
		if ctx.Err() != nil {
			return endOf(ctx)
		}
		if err := y.readInside(ctx); err != nil {
			y.upcalls.end(err)
			if cond() {
				return nil
			}
			return err
		}
	}
}

// sift has the frames take effect that are for running handlers.
func (y *syncServer) sift() error {
	d := &y.reader.decoder
	in, unseen, err := y.Server.sift(d.in, min(y.wait.unseen, len(d.in)))
	d.in, y.wait.unseen = in, unseen
	return err
}

// readInside reads once, blocking until ctx ends.
func (y *syncServer) readInside(ctx context.Context) error {
	if ready, err := y.awaitInput(ctx); err != nil || !ready {
		return err
	}
	return y.readMore()
}

// readMore reads once, inside a running handler.
func (y *syncServer) readMore() error {
	d, w := &y.reader.decoder, &y.wait
	y.makeRoom()
	n, err := syscall.Read(y.reader.fd, d.in[len(d.in):cap(d.in)])
	switch {
	case err == syscall.EINTR:
		return nil
	case err != nil:
		return &readError{err}
	case n == 0:
		return errInputEnded // the main loop finds it again
	}
	w.unseen = min(w.unseen, len(d.in)) + n
	d.in = d.in[:len(d.in)+n]
	y.noteCancels(d.in[len(d.in)-n:])
	return y.holdOrGoOn()
}

// holdOrGoOn has the parent hold calls back while many wait.
func (y *syncServer) holdOrGoOn() error {
	if y.updateHold(len(y.reader.decoder.in)) {
		return y.tellHold()
	}
	return nil
}

// noteCancels looks for cancels in what was read. That of the call which is being
// handled ends its ctx.
func (y *syncServer) noteCancels(data []byte) {
	for _, id := range y.ahead.scan(data) {
		if id == y.current && y.handling {
			y.ctx.end()
		}
	}
}

// makeRoom moves what waits to the buffer, unless it is there, and makes the buffer
// larger if it is full. What was handled before stays where it is.
func (y *syncServer) makeRoom() {
	d, w := &y.reader.decoder, &y.wait
	if !w.own {
		w.own = true
		if cap(w.buf)-len(d.in) >= leastAhead {
			d.in = append(w.buf, d.in...)
			return
		}
	} else if cap(d.in)-len(d.in) >= leastAhead {
		return
	}
	w.buf = make([]byte, 0, max(readSize, 2*len(d.in)+leastAhead))
	d.in = append(w.buf, d.in...)
}

// waitBufferKept is how large a buffer is kept when nothing is in it.
const waitBufferKept = 256 << 10

// awaitInput waits until there is something to read, or ctx has ended. It does
// not have to for a ctx that cannot end while nothing is read.
func (y *syncServer) awaitInput(ctx context.Context) (ready bool, err error) {
	deadline, bounded := ctx.Deadline()
	fds := []unix.PollFd{{Fd: int32(y.reader.fd), Events: unix.POLLIN}}
	if y.endsItself(ctx) {
		fds = append(fds, unix.PollFd{Fd: int32(y.wait.waker.r), Events: unix.POLLIN})
	} else if !bounded {
		return true, nil
	}
	timeout := -1
	if bounded { // rounded up: ctx must have ended then
		timeout = int(min(max(time.Until(deadline), 0)/time.Millisecond+1, math.MaxInt32))
	}
	if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR {
		return false, &readError{err}
	}
	if len(fds) > 1 && fds[1].Revents != 0 {
		y.wait.waker.drain()
	}
	return fds[0].Revents != 0, nil
}
