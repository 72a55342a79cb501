package reactor_test

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestWriteTimeoutEndsWithTheWriteSide: it went on to count when the reader had gone,
// and closed a stream that was read from.
func TestWriteTimeoutEndsWithTheWriteSide(t *testing.T) {
	var got []reactor.Timeout
	l := newLink(t, newLoop(t), fdtest.Transports()[0], timeoutsOf(&got))
	l.fill(1000)
	l.stream.SetWriteTimeout(time.Hour)
	l.peer.CloseRead()
	l.pollUntil(func() bool { return l.saw("write error") })
	l.stream.Age(2 * time.Hour)
	pollTimes(t, l.loop, 3)
	if len(got) > 0 {
		t.Errorf("%v of a stream that cannot be written to", got)
	}
}

// TestBytesTakenInTimePreventATimeoutThoughTheLoopWasBusy: what there was room for was
// written after the verdict.
func TestBytesTakenInTimePreventATimeoutThoughTheLoopWasBusy(t *testing.T) {
	for _, set := range []func(*reactor.Stream, time.Duration){(*reactor.Stream).SetWriteTimeout, (*reactor.Stream).SetIdleTimeout} {
		var got []reactor.Timeout
		onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
			l.fill(1000)
			set(l.stream, time.Hour)
			l.peer.Available(t)
			l.stream.Age(2 * time.Hour)
			l.poll()
			if len(got) > 0 || l.stream.Buffered() > 0 {
				t.Errorf("%v, %d bytes are queued", got, l.stream.Buffered())
			}
			verify(t, l.loop)
		})
	}
}

// TestWriteTimeoutGoesOnAfterALastLook: bytes of which some are taken by the look that
// comes before the verdict wait for room as before.
func TestWriteTimeoutGoesOnAfterALastLook(t *testing.T) {
	var got []reactor.Timeout
	onLinks(t, timeoutsOf(&got), func(t *testing.T, l *link) {
		l.fill(300_000) // more than the kernel takes
		l.stream.SetWriteTimeout(time.Hour)
		l.peer.Available(t)
		l.stream.Age(2 * time.Hour)
		l.poll()
		if len(got) > 0 || l.stream.Buffered() == 0 {
			t.Fatalf("%v, %d bytes are queued", got, l.stream.Buffered())
		}
		verify(t, l.loop)
		l.stream.Age(2 * time.Hour)
		pollTimes(t, l.loop, 2)
		if len(got) != 1 {
			t.Errorf("%v after two hours without room", got)
		}
		verify(t, l.loop)
	})
}

// TestLingerThatPassesWhileTheLoopWasBusyLosesNothing: it was a timeout though the other
// side had taken everything.
func TestLingerThatPassesWhileTheLoopWasBusyLosesNothing(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		l.fill(1000)
		l.stream.CloseAfterFlush(short)
		l.peer.Available(t)
		busyUntil(time.Now().Add(2 * short))
		l.pollUntil(func() bool { return l.closed > 0 })
		if l.closeErr != nil {
			t.Errorf("closed with %v", l.closeErr)
		}
	})
}

// TestBytesThatCameInTimePreventATimeoutThoughManyAreReady: one wait reports a part of
// them, and the others were taken for idle.
func TestBytesThatCameInTimePreventATimeoutThoughManyAreReady(t *testing.T) {
	for _, set := range []func(*reactor.Stream, time.Duration){(*reactor.Stream).SetReadTimeout, (*reactor.Stream).SetIdleTimeout} {
		var timeouts []reactor.Timeout
		loop, clock := newHandLoop(t)
		var links []*link
		for range 100 { // the first wait reports 32
			l := newLink(t, loop, fdtest.Transports()[1], timeoutsOf(&timeouts))
			set(l.stream, time.Minute)
			l.peer.Send(t, []byte("x"))
			links = append(links, l)
		}
		clock.now += time.Hour
		pollTimes(t, loop, 10)
		for _, l := range links {
			if string(l.data) != "x" {
				t.Errorf("read %q", l.data)
			}
		}
		if len(timeouts) > 0 {
			t.Errorf("%d of %d streams were taken for idle", len(timeouts), len(links))
		}
	}
}

// TestReadTimeoutOfAFIFOWithoutAWriterIsNoEOF: the look before the verdict read 0 bytes, which was taken for the
// EOF, and whoever opened the FIFO for writing later found nobody.
func TestReadTimeoutOfAFIFOWithoutAWriterIsNoEOF(t *testing.T) {
	for _, set := range []func(*reactor.Stream, time.Duration){(*reactor.Stream).SetReadTimeout, (*reactor.Stream).SetIdleTimeout} {
		var got []reactor.Timeout
		path := filepath.Join(t.TempDir(), "fifo")
		fifo := fdtest.Transport{Name: "a FIFO", Open: func(t testing.TB) (ours, theirs *fdtest.End) {
			must(t, unix.Mkfifo(path, 0o600))
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			must(t, err)
			return &fdtest.End{Read: fd, Write: -1}, &fdtest.End{Read: -1, Write: -1}
		}}
		l := newLink(t, newLoop(t), fifo, timeoutsOf(&got))
		if r, _ := l.stream.FDs(); fdtest.Readable(t, r) {
			t.Skip("to this system it is readable")
		}
		set(l.stream, time.Hour)
		l.stream.Age(2 * time.Hour)
		pollTimes(t, l.loop, 2)
		if len(got) != 1 || len(l.calls) > 0 {
			t.Fatalf("%v, calls %q", got, l.calls)
		}
		w, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		must(t, err)
		l.peer.Write = w
		l.peer.Send(t, []byte("late"))
		l.pollUntil(func() bool { return string(l.data) == "late" })
	}
}

// TestInvariantsHoldInsideOnTimeout: Verify said there that the stream had forgotten a timeout.
func TestInvariantsHoldInsideOnTimeout(t *testing.T) {
	loop, clock := newHandLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer theirs.Close()
	calls := 0
	var s *reactor.Stream
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{OnTimeout: func(reactor.Timeout) {
		calls++
		verify(t, loop)
		s.SetReadTimeout(time.Second)
		verify(t, loop)
	}})
	must(t, err)
	defer s.Close()
	s.SetIdleTimeout(time.Hour)
	s.SetReadTimeout(time.Minute)
	clock.now += time.Minute
	pollTimes(t, loop, 1)
	clock.now += time.Second // what was set inside counts
	pollTimes(t, loop, 1)
	if calls != 2 {
		t.Errorf("called %d times", calls)
	}
}
