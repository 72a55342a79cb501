package reactor_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
)

// pseudoTerminal is the transport of a link whose stream has the master.
var pseudoTerminal = fdtest.Transport{Name: "a pseudo-terminal", Open: func(t testing.TB) (ours, theirs *fdtest.End) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	must(t, err)
	terminal, err := unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	must(t, err)
	return &fdtest.End{Read: master, Write: master}, &fdtest.End{Read: -1, Write: terminal}
}}

// TestEndOfAPseudoTerminalIsAnEOF: the EIO by which Linux tells of it closed the stream with an
// error, and without OnEOF.
func TestEndOfAPseudoTerminalIsAnEOF(t *testing.T) {
	l := newLink(t, newLoop(t), pseudoTerminal, nil)
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
	l := newLink(t, newLoop(t), pseudoTerminal, nil)
	must(t, l.stream.Pause())
	l.peer.Send(t, []byte("theirs"))
	master, _ := l.stream.FDs()
	fdtest.Await(t, master, unix.POLLIN)
	if n := l.stream.Unread(); n != 0 {
		t.Errorf("%d bytes are unread though none was written", n)
	}
}
