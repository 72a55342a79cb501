package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// readsPipe makes a stream that reads a pipe, which the poller is told of by the test.
func readsPipe(t *testing.T, loop *reactor.Loop, config reactor.StreamConfig) *reactor.Stream {
	t.Helper()
	r, w := fdtest.Pipe(t)
	t.Cleanup((&fdtest.End{Read: -1, Write: w}).Close)
	s, err := loop.NewStream(r, -1, config)
	must(t, err)
	return s
}

// writesPipe makes a stream that writes a small pipe which nobody reads.
func writesPipe(t *testing.T, loop *reactor.Loop, config reactor.StreamConfig) *reactor.Stream {
	t.Helper()
	r, w := fdtest.Pipe(t)
	t.Cleanup((&fdtest.End{Read: r, Write: -1}).Close)
	fdtest.Shrink(t, w)
	s, err := loop.NewStream(-1, w, config)
	must(t, err)
	return s
}

// TestPipeToThatCannotReadLeavesBothAlone: it had given away the Reader and what that held, and was in force
// although it had returned an error; nothing was read any more.
func TestPipeToThatCannotReadLeavesBothAlone(t *testing.T) {
	leaktest.Check(t)
	sim := reactortest.New(t, reactor.Config{})
	from := readsPipe(t, sim.Loop, reactor.StreamConfig{})
	to := writesPipe(t, sim.Loop, reactor.StreamConfig{})
	reader := from.Reader() // nothing is asked for: from does not read
	sim.Poller.FailNext(reactortest.Add, unix.ENOSPC)
	wantErr(t, from.PipeTo(to), unix.ENOSPC)
	verify(t, sim.Loop)
	if from.Reader() != reader {
		t.Error("the Reader is another one")
	}
	from.Close()
	pollTimes(t, sim.Loop, 1)
	if to.Closed() {
		t.Error("what was not piped to is closed with the other")
	}
	to.Close()
}

// TestPipeToOfAStreamThatFailsMeanwhileIsRefused: what it was coupled to before had it pause, and the poller
// did not let it go on. It was coupled all the same, to one that never heard of the end.
func TestPipeToOfAStreamThatFailsMeanwhileIsRefused(t *testing.T) {
	leaktest.Check(t)
	sim := reactortest.New(t, reactor.Config{})
	var ended error
	from := readsPipe(t, sim.Loop, reactor.StreamConfig{OnClose: func(err error) { ended = err }})
	congested := writesPipe(t, sim.Loop, reactor.StreamConfig{HighWater: 1})
	to := writesPipe(t, sim.Loop, reactor.StreamConfig{})
	must(t, congested.Write(make([]byte, 10_000)))
	must(t, from.PipeTo(congested))
	sim.Poller.FailNext(reactortest.Add, unix.ENOSPC)
	wantErr(t, from.PipeTo(to), reactor.ErrClosed)
	verify(t, sim.Loop)
	pollTimes(t, sim.Loop, 1)
	wantErr(t, ended, unix.ENOSPC)
	congested.Close()
	to.Close()
}

// TestDetachDoesNotReadOnBefore: a stream that was paused for its sink was watched again, and if the poller refused
// that, the descriptors were closed, what was queued was dropped, and nobody was told.
func TestDetachDoesNotReadOnBefore(t *testing.T) {
	leaktest.Check(t)
	sim := reactortest.New(t, reactor.Config{})
	from := readsPipe(t, sim.Loop, reactor.StreamConfig{})
	to := writesPipe(t, sim.Loop, reactor.StreamConfig{HighWater: 1})
	must(t, to.Write(make([]byte, 10_000)))
	must(t, from.PipeTo(to))
	want, _ := from.FDs()
	sim.Poller.FailNext(reactortest.Add, unix.ENOSPC)
	r, w, _, _ := from.Detach()
	if r != want || w != -1 {
		t.Errorf("got fds %d and %d, want %d and -1", r, w, want)
	}
	closeBoth(r, w)
	verify(t, sim.Loop)
	to.Close()
}

// TestUnreadDoesNotCountWhatWasThereBefore: of a stream that was detached and made anew it counted the bytes of the first.
func TestUnreadDoesNotCountWhatWasThereBefore(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	must(t, l.stream.Write([]byte("before")))
	l.poll()
	r, w, _, _ := l.stream.Detach()
	again, err := l.loop.NewStream(r, w, reactor.StreamConfig{})
	must(t, err)
	defer again.Close()
	if n := again.Unread(); n != 0 {
		t.Errorf("%d bytes are unread though none was written", n)
	}
	must(t, again.Write([]byte("of it")))
	l.poll()
	if n, all := again.Unread(), len("of it"); n > all {
		t.Errorf("%d bytes are unread of %d", n, all)
	}
}
