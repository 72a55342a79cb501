package rpc

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how often a handler that waits looks whether the parent is still there, when the input
// does not tell: not every system wakes for the other end of a pipe that is only written to.
const lookEvery = time.Second

// awaitEnd waits, inside a handler whose answer another goroutine gives, until ctx has ended.
// Meanwhile it reads, on the Evfork wire, for the sake of a cancel, as much as may wait for its
// turn. If nobody can read the answer any more, or the server cannot go on, the handler's own ctx
// ends.
func (y *syncServer) awaitEnd(ctx context.Context) {
	if err := y.awaitEndOf(ctx); err != nil {
		y.wait.failed = err
		y.ctx.end()
	}
}

func (y *syncServer) awaitEndOf(ctx context.Context) error {
	if err := y.writer.flush(); err != nil { // the replies to the calls before
		return err
	}
	stop, err := y.wakeAtEnd(ctx)
	if err != nil {
		return nil // no descriptor is left for that: whoever called waits without hearing of anything else
	}
	defer stop()
	output, reads := y.output(), y.config.Wire == Evfork
	for ctx.Err() == nil {
		ready, gone, err := y.awaitEvent(output, reads && len(y.reader.decoder.in) < maxBacklog)
		switch {
		case err != nil:
			return err
		case gone:
			y.ctx.end()    // the write of the answer finds the error
			output.Fd = -1 // ctx may outlive that one, and poll would return at once for ever
		case ready:
			reads = y.readMore() == nil // the main loop finds an error again, when what was read has been answered
		}
	}
	return nil
}

// output is what poll is asked about the parent. Of a socket that is read, too, nothing is asked: then macOS, to which one that
// is half-closed has hung up, does not tell of it, and Linux tells when both directions have ended.
func (y *syncServer) output() unix.PollFd {
	fd := unix.PollFd{Fd: int32(y.writeFD)}
	if y.writeFD == y.reader.fd {
		return fd
	}
	flags, err := unix.FcntlInt(uintptr(y.writeFD), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_WRONLY {
		// macOS tells nothing where nothing is asked. To it this is the question for input, of which
		// a descriptor that can be read, a socket, may have some.
		fd.Events = unix.POLLHUP
	}
	return fd
}

// awaitEvent waits for input, if that is wanted, for the end of ctx, or of the parent.
func (y *syncServer) awaitEvent(output unix.PollFd, reads bool) (ready, gone bool, err error) {
	input, timeout := unix.PollFd{Fd: -1}, -1
	if reads {
		input = unix.PollFd{Fd: int32(y.reader.fd), Events: unix.POLLIN}
	} else if output.Fd >= 0 {
		timeout = int(lookEvery / time.Millisecond)
	}
	fds := [...]unix.PollFd{{Fd: int32(y.wait.waker.r), Events: unix.POLLIN}, output, input}
	if _, err := y.poll(fds[:], timeout); err != nil && err != unix.EINTR {
		return false, false, &readError{err}
	}
	if fds[0].Revents != 0 {
		y.wait.waker.drain() // it may be from an earlier wait
	}
	return fds[2].Revents != 0, fds[1].Revents != 0, nil // of the output: POLLERR, or POLLHUP
}
