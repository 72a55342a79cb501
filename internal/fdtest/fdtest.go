// Package fdtest opens raw descriptors for tests: pipes and socket pairs, as
// numbers, since that is what a loop is given. Whoever a descriptor belongs to
// closes it; nothing here closes one behind its owner's back.
package fdtest

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience ends a test whose descriptor never becomes ready: so long that no machine, however
// busy, makes a test fail by it.
const patience = 5 * time.Minute

// An End is one end of a two-way connection: what it reads from, what it writes
// to, -1 for what it does not have any more. On a socket both are the same.
type End struct{ Read, Write int }

// A Transport is a way to connect two ends.
type Transport struct {
	Name string
	// Open returns two connected ends. All descriptors are non-blocking and
	// close-on-exec.
	Open func(t testing.TB) (ours, theirs *End)
}

// Transports lists them all, for suites that run on each.
func Transports() []Transport {
	return []Transport{
		{Name: "pipes", Open: Pipes},
		{Name: "socketpair", Open: Sockets},
	}
}

// Pipe returns a non-blocking, close-on-exec pipe.
func Pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	must(t, "pipe", unix.Pipe(p[:]))
	prepare(t, p)
	return p[0], p[1]
}

// ReadyPipe returns a pipe with one byte in it, closed at the end of the test.
func ReadyPipe(t testing.TB) *End {
	t.Helper()
	r, w := Pipe(t)
	p := &End{Read: r, Write: w}
	t.Cleanup(p.Close)
	p.Send(t, []byte("x"))
	return p
}

// Socketpair returns two connected non-blocking, close-on-exec stream sockets.
func Socketpair(t testing.TB) (a, b int) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, "socketpair", err)
	prepare(t, p)
	return p[0], p[1]
}

func prepare(t testing.TB, fds [2]int) {
	t.Helper()
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		must(t, "set non-blocking", unix.SetNonblock(fd, true))
	}
}

// Pipes connects two ends by two pipes.
func Pipes(t testing.TB) (ours, theirs *End) {
	t.Helper()
	toUs, fromThem := Pipe(t)
	toThem, fromUs := Pipe(t)
	return &End{Read: toUs, Write: fromUs}, &End{Read: toThem, Write: fromThem}
}

// Sockets connects two ends by a socket pair.
func Sockets(t testing.TB) (ours, theirs *End) {
	t.Helper()
	a, b := Socketpair(t)
	return &End{Read: a, Write: a}, &End{Read: b, Write: b}
}

// Close closes what is still open of the end.
func (e *End) Close() {
	if e.Read >= 0 {
		unix.Close(e.Read)
	}
	if e.Write >= 0 && e.Write != e.Read {
		unix.Close(e.Write)
	}
	e.Read, e.Write = -1, -1
}

// CloseWrite makes the other end read EOF, and goes on reading.
func (e *End) CloseWrite() {
	if e.Read == e.Write {
		unix.Shutdown(e.Write, unix.SHUT_WR)
		return
	}
	unix.Close(e.Write)
	e.Write = -1
}

// CloseRead makes the other end's writing fail, and goes on writing.
func (e *End) CloseRead() {
	if e.Read == e.Write {
		unix.Shutdown(e.Read, unix.SHUT_RD)
		return
	}
	unix.Close(e.Read)
	e.Read = -1
}

// Send writes all of p, waiting for room when the kernel has none.
func (e *End) Send(t testing.TB, p []byte) {
	t.Helper()
	for len(p) > 0 {
		n, err := unix.Write(e.Write, p)
		switch {
		case errors.Is(err, unix.EAGAIN):
			Await(t, e.Write, unix.POLLOUT)
		case errors.Is(err, unix.EINTR):
		case err != nil:
			t.Errorf("write: %v", err)
			return
		default:
			p = p[n:]
		}
	}
}

// Offer writes once, as much of p as the kernel takes now; an other end that is
// gone takes nothing.
func (e *End) Offer(t testing.TB, p []byte) (n int) {
	t.Helper()
	n, err := unix.Write(e.Write, p)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("write: %v", err)
	}
	return max(n, 0)
}

// Receive reads once, at most len(buf) bytes, waiting for the first; it returns
// 0 at the EOF. A reset connection counts as one.
func (e *End) Receive(t testing.TB, buf []byte) int {
	t.Helper()
	for {
		n, err := unix.Read(e.Read, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			Await(t, e.Read, unix.POLLIN)
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECONNRESET):
			return 0
		case err != nil:
			t.Errorf("read: %v", err)
			return 0
		default:
			return n
		}
	}
}

// Available reads what the kernel has now, without waiting, and reports whether
// the EOF came behind it. A reset connection counts as one.
func (e *End) Available(t testing.TB) (data []byte, eof bool) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(e.Read, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return data, false
		case errors.Is(err, unix.EINTR):
		case err == nil && n == 0, errors.Is(err, unix.ECONNRESET):
			return data, true
		case err != nil:
			t.Fatalf("read: %v", err)
		default:
			data = append(data, buf[:n]...)
		}
	}
}

// Readable reports whether a read would not block now.
func Readable(t testing.TB, fd int) bool {
	t.Helper()
	return poll(t, fd, unix.POLLIN, 0)
}

// Await waits until poll(2) reports one of the conditions, an error or a hang-up.
func Await(t testing.TB, fd int, events int16) {
	t.Helper()
	if !poll(t, fd, events, int(patience/time.Millisecond)) {
		t.Fatalf("fd %d is not ready after %v", fd, patience)
	}
}

func poll(t testing.TB, fd int, events int16, millis int) bool {
	t.Helper()
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(fds, millis)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		must(t, "poll", err)
		return n > 0
	}
}

// Dup returns another descriptor for what fd refers to, close-on-exec.
func Dup(t testing.TB, fd int) int {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	must(t, "dup", err)
	return dup
}

// Open reports whether fd is an open descriptor.
func Open(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func must(t testing.TB, op string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}
