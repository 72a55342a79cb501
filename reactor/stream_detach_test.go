package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// closeBoth closes the descriptors that Detach has given back.
func closeBoth(r, w int) { (&fdtest.End{Read: r, Write: w}).Close() }

func TestDetachGivesBackTheDescriptorsAndForgetsThem(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		wantR, wantW := l.stream.FDs()
		r, w, unread, unwritten := l.stream.Detach()
		defer closeBoth(r, w)
		if r != wantR || w != wantW || len(unread)+len(unwritten) != 0 {
			t.Errorf("got fds %d and %d with %q and %q, want %d and %d", r, w, unread, unwritten, wantR, wantW)
		}
		verify(t, l.loop)
		l.peer.Send(t, []byte("for the caller"))
		pollTimes(t, l.loop, 3)
		l.wantCalls("")
		if s := l.loop.Stats(); s.Streams != 0 || s.Refs != 0 || s.Events != 0 {
			t.Errorf("%d streams, %d references, %d events", s.Streams, s.Refs, s.Events)
		}
		got, _ := (&fdtest.End{Read: r}).Available(t)
		wantBytes(t, got, []byte("for the caller"))
		if !l.stream.Closed() {
			t.Error("not closed")
		}
		wantErr(t, l.stream.Write([]byte("x")), reactor.ErrClosed)
		l.stream.Close()
		l.stream.CloseAfterFlush(0)
		if r, w, _, _ := l.stream.Detach(); r != -1 || w != -1 {
			t.Errorf("detached again: %d and %d", r, w)
		}
		pollTimes(t, l.loop, 3)
		l.wantCalls("")
	})
}

func TestDetachGivesBackWhatIsQueued(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := l.fill(200_000)
		l.stream.CloseWrite()
		l.stream.SetWriteTimeout(1)
		r, w, _, unwritten := l.stream.Detach()
		if len(unwritten) < 200_000 || l.stream.Unread() != len(unwritten) || l.stream.Chunks() != 0 {
			t.Errorf("%d bytes given back, %d unread, %d buffers held", len(unwritten), l.stream.Unread(), l.stream.Chunks())
		}
		closeBoth(r, w)
		got := append(l.receiveEOF(), unwritten...)
		wantBytes(t, got, want)
		l.wantCalls("")
	})
}

// TestStreamIsDetachedAndAdoptedAgainWithoutLosingAByte reads a line with one
// stream and the rest with another, which also writes what the first had queued.
func TestStreamIsDetachedAndAdoptedAgainWithoutLosingAByte(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		want := l.fill(50_000)
		var first string
		var rest []byte
		var next *reactor.Stream
		must(t, l.stream.Reader().Push(reactor.Line(0), func(line []byte) {
			first = string(line)
			r, w, unread, unwritten := l.stream.Detach()
			rest = unread
			var err error
			next, err = l.loop.NewStream(r, w, reactor.StreamConfig{OnData: func(p []byte) { rest = append(rest, p...) }})
			must(t, err)
			must(t, next.Write(unwritten))
		}))
		l.peer.Send(t, []byte("upgrade\nthe re"))
		l.pollUntil(func() bool { return next != nil })
		defer next.Close()
		l.peer.Send(t, []byte("st"))
		l.pollUntil(func() bool { return len(rest) == 8 })
		wantBytes(t, rest, []byte("the rest"))
		wantBytes(t, l.receive(len(want)), want)
		if first != "upgrade" {
			t.Errorf("the first line was %q", first)
		}
		l.wantCalls("")
	})
}

func TestDetachOfAHalfThatHasEndedReturnsTheOther(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[0], nil)
	_, want := l.stream.FDs()
	l.stream.CloseRead()
	r, w, _, _ := l.stream.Detach()
	defer closeBoth(r, w)
	if r != -1 || w != want {
		t.Errorf("got fds %d and %d, want -1 and %d", r, w, want)
	}
}

// TestSocketIsBothDescriptorsUntilItIsClosed: a half that has ended is still the same descriptor.
func TestSocketIsBothDescriptorsUntilItIsClosed(t *testing.T) {
	l := newLink(t, newLoop(t), fdtest.Transports()[1], nil)
	want, _ := l.stream.FDs()
	l.stream.CloseRead()
	if r, w := l.stream.FDs(); r != want || w != want {
		t.Errorf("after CloseRead the fds are %d and %d, want %d", r, w, want)
	}
	r, w, _, _ := l.stream.Detach()
	defer closeBoth(r, w)
	if r != want || w != want {
		t.Errorf("got fds %d and %d, want %d", r, w, want)
	}
}

func TestDetachMakesCoupledStreamsIndependent(t *testing.T) {
	onProxies(t, nil, func(t *testing.T, p proxy) {
		p.connect(t)
		r, w, _, _ := p.a.stream.Detach()
		defer closeBoth(r, w)
		verify(t, p.a.loop)
		p.b.peer.Send(t, []byte("x"))
		p.a.pollUntil(func() bool { return p.b.saw("data") })
		p.b.write("y")
		wantBytes(t, p.b.receive(1), []byte("y"))
	})
}

// TestDetachedDescriptorIsNotWatchedThoughADuplicateIsOpen: forgetting comes
// before anything that the caller does to it.
func TestDetachedDescriptorIsNotWatchedThoughADuplicateIsOpen(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		r, w, _, _ := l.stream.Detach()
		dup := fdtest.Dup(t, r)
		defer unix.Close(dup)
		closeBoth(r, w)
		l.peer.Offer(t, []byte("x"))
		pollTimes(t, l.loop, 10)
		if s := l.loop.Stats(); s.Stale+s.Events != 0 {
			t.Errorf("%d stale events, %d others", s.Stale, s.Events)
		}
	})
}
