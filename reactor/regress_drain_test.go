package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestPanicInsideDrainFailsTheStreamAroundIt: a stream whose callback drained another one, of which a callback
// panicked, was left amid its reading: what lay behind came late or never.
func TestPanicInsideDrainFailsTheStreamAroundIt(t *testing.T) {
	panics := 0
	loop := newLoopWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { panics++ }})
	var inner, outer *reactor.Stream
	var innerErr, outerErr error
	open := func(config reactor.StreamConfig) (s *reactor.Stream, far *fdtest.End) {
		p := &fdtest.End{}
		p.Read, p.Write = fdtest.Pipe(t)
		s, err := loop.NewStream(p.Read, -1, config)
		must(t, err)
		p.Read = -1
		t.Cleanup(p.Close)
		return s, p
	}
	outer, toOuter := open(reactor.StreamConfig{OnClose: func(err error) { outerErr = err }})
	must(t, outer.Reader().Each(reactor.Fixed(1), func([]byte) { inner.Drain() }))
	inner, toInner := open(reactor.StreamConfig{
		OnData:  func([]byte) { panic("inner") },
		OnClose: func(err error) { innerErr = err },
	})
	must(t, inner.Pause()) // it is for Drain to read
	toInner.Send(t, []byte("x"))
	toOuter.Send(t, []byte("12"))
	pollTimes(t, loop, 3)
	if panics != 1 {
		t.Errorf("%d panics were told of, want 1", panics)
	}
	for name, err := range map[string]error{"inner": innerErr, "outer": outerErr} {
		if p, ok := err.(*reactor.Panic); !ok || p.Value != "inner" {
			t.Errorf("the %s stream ended with %v, want the panic", name, err)
		}
	}
	if !outer.Closed() {
		t.Errorf("the outer stream goes on, with %d bytes that nobody gets", outer.Reader().Buffered())
	}
}

// TestWriteTellsWhatTheStreamHasFailedWith: until OnClose had told, Write had nothing better to say than that the stream was closed.
func TestWriteTellsWhatTheStreamHasFailedWith(t *testing.T) {
	ours, theirs := fdtest.Sockets(t)
	t.Cleanup(theirs.Close)
	var s *reactor.Stream
	var refused error
	told := make(chan error, 1)
	loop := newLoopWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { refused = s.Write([]byte("x")) }})
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		OnData:  func([]byte) { panic("in OnData") },
		OnClose: func(err error) { told <- err },
	})
	must(t, err)
	theirs.Send(t, []byte("x"))
	pollTimes(t, loop, 3)
	if err := <-told; refused == nil || refused != err {
		t.Errorf("Write has returned %v, and OnClose got %v", refused, err)
	}
}
