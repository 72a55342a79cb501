package reactor_test

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestResetIsAnEOFAlsoOfAStreamThatWritesToAPipe: that of a socket whose peer had closed it with bytes unread closed the stream with
// ECONNRESET, and what was queued for the pipe was lost: whether a stream has a socket was asked of the writing side alone.
func TestResetIsAnEOFAlsoOfAStreamThatWritesToAPipe(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	sink := pipe(t)
	fdtest.Shrink(t, sink.Write)
	var calls []string
	s, err := loop.NewStream(ours.Read, sink.Write, reactor.StreamConfig{
		OnEOF: func() { calls = append(calls, "eof") },
		OnClose: func(err error) {
			must(t, err)
			calls = append(calls, "close")
		},
	})
	must(t, err)
	sink.Write = -1 // the stream's
	queued := pattern(0, 50_000)
	must(t, s.Write(queued))
	_, err = unix.Write(ours.Read, []byte("not read"))
	must(t, err)
	theirs.Close()
	pollUntil(t, loop, func() bool { return len(calls) > 0 })
	s.CloseWrite()
	var got []byte
	pollUntil(t, loop, func() bool {
		data, eof := sink.Available(t)
		got = append(got, data...)
		return eof
	})
	wantBytes(t, got, queued)
	pollUntil(t, loop, s.Closed)
	pollTimes(t, loop, 1)
	if want := []string{"eof", "close"}; !slices.Equal(calls, want) {
		t.Errorf("got %v, want %v", calls, want)
	}
}

// TestSocketDoesNotLingerForAPipe: what was to be waited for was the end of the pipe that the stream read, which has nothing to do with it.
func TestSocketDoesNotLingerForAPipe(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer theirs.Close()
	source := pipe(t)
	s, err := loop.NewStream(source.Read, ours.Write, reactor.StreamConfig{})
	must(t, err)
	source.Read = -1 // the stream's
	must(t, s.Write([]byte("x")))
	s.CloseAfterFlush(-1)
	pollTimes(t, loop, 3)
	if data, eof := theirs.Available(t); string(data) != "x" || !eof || !s.Closed() {
		t.Errorf("the other side has read %q, EOF %v; closed %v", data, eof, s.Closed())
	}
	s.Close()
}
