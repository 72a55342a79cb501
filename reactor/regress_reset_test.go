package reactor_test

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// reset closes an end of a connection so that the other is reset.
func reset(t *testing.T, e *fdtest.End) {
	must(t, unix.SetsockoptLinger(e.Read, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	e.Close()
}

// TestResetIsToldByOnClose: a connection that the other side had reset ended as one that it had closed, with nil, also where an answer was
// read to its EOF, or what had been written was still in the kernel.
func TestResetIsToldByOnClose(t *testing.T) {
	for name, test := range map[string]struct {
		noRead, noWrite bool
		before          func(s *reactor.Stream, peer *fdtest.End)
		cause           error // nil: any
	}{
		"read and written": {cause: unix.ECONNRESET},
		"only read":        {noWrite: true, cause: unix.ECONNRESET},
		"only written":     {noRead: true, cause: unix.ECONNRESET},
		"after CloseWrite": {before: func(s *reactor.Stream, _ *fdtest.End) { s.CloseWrite() }, cause: unix.ECONNRESET},
		"after the EOF":    {before: func(_ *reactor.Stream, peer *fdtest.End) { peer.CloseWrite() }}, // of which Linux says EPIPE
		"in a unit": {before: func(s *reactor.Stream, peer *fdtest.End) {
			must(t, s.Reader().Push(reactor.Fixed(9), func([]byte) {}))
			peer.Send(t, []byte("x"))
		}, cause: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := fdtest.TCP(t)
			if test.noRead {
				ours.Read = -1
			}
			if test.noWrite {
				ours.Write = -1
			}
			closed := false
			var got error
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(err error) { got, closed = err, true }})
			must(t, err)
			if test.before != nil {
				test.before(s, theirs)
			}
			pollTimes(t, loop, 3)
			reset(t, theirs)
			pollUntil(t, loop, func() bool { return closed })
			if got == nil || test.cause != nil && !errors.Is(got, test.cause) {
				t.Errorf("OnClose got %v, want %v", got, test.cause)
			}
		})
	}
}

// TestEndOfAUnixSocketWithBytesUnreadIsNoError: it is reset, too, but has delivered all that was written.
func TestEndOfAUnixSocketWithBytesUnreadIsNoError(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	closed := false
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(err error) {
		must(t, err)
		closed = true
	}})
	must(t, err)
	must(t, s.Write([]byte("unread")))
	pollTimes(t, loop, 1)
	theirs.Close()
	pollUntil(t, loop, func() bool { return closed })
}

// TestResetOfAPausedStreamIsTold: with bytes queued for it, as of a server that is congested, it ended with EPIPE.
func TestResetOfAPausedStreamIsTold(t *testing.T) {
	for name, size := range map[string]int{"nothing queued": 0, "congested": 16 << 20} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := fdtest.TCP(t)
			var s *reactor.Stream
			var got error
			failed, closed := false, false
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
				OnWriteError: func(error) { failed = true },
				OnClose:      func(err error) { got, closed = err, true },
			})
			must(t, err)
			must(t, s.Pause())
			must(t, s.Write(make([]byte, size)))
			pollTimes(t, loop, 3)
			reset(t, theirs)
			pollUntil(t, loop, func() bool { return failed })
			must(t, s.Resume())
			pollUntil(t, loop, func() bool { return closed })
			wantErr(t, got, unix.ECONNRESET)
		})
	}
}
