package reactor_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestResetThatAnEarlyWriteMeetsIsTold: Linux tells a write of it once. The one at the end of the iteration met EPIPE then, and reading an EOF.
func TestResetThatAnEarlyWriteMeetsIsTold(t *testing.T) {
	for name, size := range map[string]int{"at the end": 1, "early": 40 << 10, "direct": 100 << 10} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, read: %v", name, reads), func(t *testing.T) {
				loop := newLoop(t)
				ours, theirs := fdtest.TCP(t)
				if !reads {
					ours.Read = -1
				}
				var failure, got error
				closed := false
				s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
					OnWriteError: func(err error) { failure = err },
					OnClose:      func(err error) { got, closed = err, true },
				})
				must(t, err)
				must(t, loop.Post(func() {
					reset(t, theirs)
					must(t, s.Write(make([]byte, size)))
				}))
				pollUntil(t, loop, func() bool { return closed })
				wantErr(t, failure, unix.ECONNRESET)
				wantErr(t, got, unix.ECONNRESET)
			})
		}
	}
}

// TestResetThatAnEarlyWriteMeetsIsToldByClose: whoever closed the stream before the end of the iteration, as at the EOF that
// reading meets then, was told nil.
func TestResetThatAnEarlyWriteMeetsIsToldByClose(t *testing.T) {
	for name, after := range map[string]func(*reactor.Stream){
		"Close":  (*reactor.Stream).Close,
		"at EOF": (*reactor.Stream).Drain,
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := fdtest.TCP(t)
			var s *reactor.Stream
			var got error
			closed := false
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
				OnEOF:   func() { s.Close() },
				OnClose: func(err error) { got, closed = err, true },
			})
			must(t, err)
			must(t, loop.Post(func() {
				reset(t, theirs)
				must(t, s.Write(make([]byte, 100<<10)))
				after(s)
			}))
			pollUntil(t, loop, func() bool { return closed })
			wantErr(t, got, unix.ECONNRESET)
		})
	}
}

// TestResetOfAStreamThatDoesNotReadIsTold: one that is paused, or was half-closed by the write that found it reset, left it to
// reading, and one that lingers did not want to know although bytes were lost.
func TestResetOfAStreamThatDoesNotReadIsTold(t *testing.T) {
	const much = 8 << 20
	for name, c := range map[string]struct {
		queued        int
		before, after func(*reactor.Stream) error
	}{
		"paused": {much, (*reactor.Stream).Pause, (*reactor.Stream).Resume},
		"CloseRead": {0, func(s *reactor.Stream) error { s.CloseRead(); return nil },
			func(s *reactor.Stream) error { s.CloseWrite(); return nil }},
		"lingers": {much, func(s *reactor.Stream) error { s.CloseAfterFlush(-1); return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := fdtest.TCP(t)
			var got error
			closed := false
			s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(err error) { got, closed = err, true }})
			must(t, err)
			must(t, s.Write(make([]byte, c.queued)))
			must(t, c.before(s))
			pollTimes(t, loop, 3)
			reset(t, theirs)
			if c.queued == 0 {
				must(t, c.after(s))
			} else if c.after != nil {
				pollUntil(t, loop, func() bool { return s.Buffered() == 0 })
				must(t, c.after(s))
			}
			pollUntil(t, loop, func() bool { return closed })
			wantErr(t, got, unix.ECONNRESET)
		})
	}
}

// TestResetBehindAnEOFIsTold: while bytes and the EOF had yet to be read, and reading was to tell why the other side had hung up, it
// told of the EOF only.
func TestResetBehindAnEOFIsTold(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.TCP(t)
	var got error
	closed := false
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnClose: func(err error) { got, closed = err, true }})
	must(t, err)
	must(t, s.Write([]byte("unread")))
	pollTimes(t, loop, 1)
	theirs.Send(t, []byte("answer"))
	theirs.CloseWrite()
	reset(t, theirs)
	pollUntil(t, loop, func() bool { return closed })
	wantErr(t, got, unix.EPIPE)
}
