package reactor_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// newTerminalLink makes a link whose stream has the master of a pseudo-terminal.
func newTerminalLink(t testing.TB) *link {
	t.Helper()
	loop := newLoop(t)
	open := func(t testing.TB) (ours, theirs *fdtest.End) {
		master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		must(t, err)
		w, err := loop.WatchFD(master, reactor.Read, func(reactor.Ready) {})
		if err != nil {
			unix.Close(master)
			t.Skip("a kqueue as that of macOS takes no terminals: ", err)
		}
		must(t, w.Stop())
		must(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
		number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
		must(t, err)
		terminal, err := unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		must(t, err)
		return &fdtest.End{Read: master, Write: master}, &fdtest.End{Read: -1, Write: terminal}
	}
	return newLink(t, loop, fdtest.Transport{Name: "a pseudo-terminal", Open: open}, nil)
}

// TestEndOfAPseudoTerminalIsAnEOF: the EIO by which Linux tells of it closed the stream with an
// error, and without OnEOF.
func TestEndOfAPseudoTerminalIsAnEOF(t *testing.T) {
	l := newTerminalLink(t)
	l.peer.Send(t, []byte("the end"))
	l.peer.Close()
	l.pollUntil(func() bool { return l.saw("close") })
	wantBytes(t, l.data, []byte("the end"))
	if !l.saw("eof") || l.closeErr != nil {
		t.Errorf("calls %q, closed with %v", l.calls, l.closeErr)
	}
}

// TestUnreadOfATerminalIsNotWhatItHasToRead: bytes that had come were counted as written and not read.
func TestUnreadOfATerminalIsNotWhatItHasToRead(t *testing.T) {
	l := newTerminalLink(t)
	must(t, l.stream.Pause())
	l.peer.Send(t, []byte("theirs"))
	master, _ := l.stream.FDs()
	fdtest.Await(t, master, unix.POLLIN)
	if n := l.stream.Unread(); n != 0 {
		t.Errorf("%d bytes are unread though none was written", n)
	}
}
