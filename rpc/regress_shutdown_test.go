package rpc_test

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// Shutdown closed the child's input at once, also if the child had yet to be told of a cancel: because its hello had not
// come, or for want of room. It never was, and a handler that waits for that kept the child running for ever.
func TestShutdownTellsOfTheCancelsBeforeIt(t *testing.T) {
	for _, server := range []string{"async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			for name, cancel := range map[string]func(*fixture, *child.Process, *rpc.Client, rpc.CallID){
				"before the hello":   cancelAtOnce,
				"and has no room":    cancelWithoutRoom,
				"and has parts, too": cancelStreamsToo,
			} {
				t.Run(name, func(t *testing.T) {
					f := newFixture(t)
					var w watched
					proc := f.spawn(pipes(server), child.Config{})
					c := f.client(proc, pipes(server), w.config(rpc.Config{MaxBuffered: 200_000}))
					r := &result{}
					id, err := c.GoWith(r, rpc.CallOptions{}, rpc.Strings("until the end"))
					must(t, err)
					cancel(f, proc, c, id)
					c.Shutdown()
					must(t, proc.Signal(syscall.SIGCONT))
					f.until(w.ended)
					if r.err != rpc.ErrCanceled || r.ends != 1 || w.destroyed != 1 {
						t.Errorf("the call ended %d times, %v; OnDestroy %d times, OnError: %v", r.ends, r.err, w.destroyed, w.err)
					}
				})
			}
		})
	}
}

func cancelAtOnce(_ *fixture, _ *child.Process, c *rpc.Client, id rpc.CallID) { c.Cancel(id) }

func cancelWithoutRoom(f *fixture, proc *child.Process, c *rpc.Client, id rpc.CallID) {
	f.works(c)
	stop(f.t, proc)
	for size := 1 << 15; size >= 0; size = size/2 - 1 {
		for c.GoBytes(nil, make([]byte, size)) == nil {
			must(f.t, f.Poll(0))
		}
	}
	c.Cancel(id)
}

// cancelStreamsToo cancels a call whose parts have not ended either, before the hello.
func cancelStreamsToo(f *fixture, proc *child.Process, c *rpc.Client, id rpc.CallID) {
	f.works(c)
	s, err := c.GoStream(nil, rpc.StreamOptions{Input: true}, rpc.Strings("sum"))
	must(f.t, err)
	cancelWithoutRoom(f, proc, c, id)
	s.Cancel()
}

// On a wire where a child can make no calls its input was kept open for them all the same: one that answers at the EOF
// never did.
func TestShutdownClosesTheInputOfAChildThatCannotCall(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.AnyEventAsync, rpc.AnyEventSync} {
		t.Run(wire.String(), func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			var w watched
			c := f.client(transport, peer{wire: wire}, w.config(rpc.Config{OnCall: func(rpc.Payload, rpc.Done) {}}))
			r := f.begin(c, "something")
			c.Shutdown()
			served := make(chan error, 1)
			go func() {
				readToEnd(file)
				_, err := file.WriteString(frame(1, "\x02ok"))
				served <- errors.Join(err, unix.Shutdown(int(file.Fd()), unix.SHUT_WR))
			}()
			f.until(w.ended)
			must(t, <-served)
			if r.err != nil || w.destroyed != 1 {
				t.Errorf("the call ended with %v; OnDestroy %d times, OnError: %v", r.err, w.destroyed, w.err)
			}
		})
	}
}

// closing tells when the stream of a child's transport has been closed.
type closing struct {
	*child.Process
	closed bool
}

// Open implements rpc.Transport.
func (c *closing) Open(config reactor.StreamConfig) (*reactor.Stream, error) {
	next := config.OnClose
	config.OnClose = func(err error) {
		if next != nil {
			next(err)
		}
		c.closed = true
	}
	return c.Process.Open(config)
}

// A call of a child that somebody had stopped, without the client, was refused with ErrClosed, as if the loop had ended: nobody
// could tell that it was safe to make it again.
func TestCallOfAStoppedChildWasNotStarted(t *testing.T) {
	for name, script := range map[string][]string{
		"which goes on":                  {write(hello), wait},
		"which has closed both its ends": {write(hello), readAll, closeOut, wait},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var w watched
			proc := f.raw(child.Config{}, script...)
			transport := &closing{Process: proc}
			c := f.client(transport, peer{}, w.config(rpc.Config{}))
			must(t, proc.Stop())
			var refused error
			f.until(func() bool {
				refused = c.Go(nil, "probe")
				return refused != nil && (transport.closed || script[1] == wait)
			})
			if lost, ok := errors.AsType[*rpc.LostError](refused); !ok || lost.Started || errors.Is(refused, rpc.ErrClosed) {
				t.Errorf("the call was refused with %v", refused)
			}
			must(t, proc.Kill())
			f.until(w.ended)
		})
	}
}

// The same of a client of such a child.
func TestClientOfAStoppedChildIsRefused(t *testing.T) {
	f := newFixture(t)
	proc := f.raw(child.Config{}, readAll, wait)
	ended := false
	proc.OnEnd(func(error) { ended = true })
	must(t, proc.Stop())
	must(t, f.Poll(0))
	_, err := rpc.NewClient(proc, rpc.Config{})
	if lost, ok := errors.AsType[*rpc.LostError](err); !ok || lost.Started || errors.Is(err, rpc.ErrClosed) {
		t.Errorf("NewClient returned %v", err)
	}
	must(t, proc.Kill())
	f.until(func() bool { return ended })
}

// The same of a call after a panic of a callback, which closes the stream, on a loop that survives it.
func TestCallAfterThePanicOfAnotherWasNotStarted(t *testing.T) {
	f, panics := newSurvivor(t)
	var w watched
	proc := f.raw(child.Config{}, write(hello+frame(1, "")), wait)
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	must(t, c.Go(func(rpc.Payload, error) { panic("in a callback") }, "first"))
	var refused error
	f.until(func() bool {
		refused = c.Go(nil, "probe")
		return refused != nil
	})
	var cause *reactor.Panic
	if lost, ok := errors.AsType[*rpc.LostError](refused); !ok || lost.Started || !errors.As(refused, &cause) || *panics != 1 {
		t.Errorf("after %d panics the call was refused with %v", *panics, refused)
	}
	must(t, proc.Kill())
	f.until(w.ended)
}

// OnError was told of calls that may have been started although none was.
func TestLossOfCallsThatWereNotStartedIsToldAsSuch(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	f.works(c)
	stop(t, proc)
	calls := []*result{f.begin(c, "echo", "a"), f.begin(c, "echo", "b")}
	f.until(func() bool { return f.Stats().Buffered == 0 })
	if got := f.lostCalls(proc, calls); got[0] || got[1] {
		t.Errorf("started: %v", got)
	}
	f.until(w.ended)
	if lost, ok := errors.AsType[*rpc.LostError](w.err); !ok || lost.Started {
		t.Errorf("OnError got %v", w.err)
	}
}

// A client that was shut down closed the child's input without the end of the parts of a call, which is sent in any case: if the
// call was cancelled, and answered before its caller had been told, or if there was no room for it.
func TestShutdownSendsTheEndOfAllParts(t *testing.T) {
	large := make([]byte, 992)
	for name, test := range map[string]struct {
		begin   func(f *fixture, c *rpc.Client, s *rpc.LoopStream) // when the reply is about to be read
		want    string
		answers string
	}{
		"cancelled": {func(_ *fixture, c *rpc.Client, s *rpc.LoopStream) {
			c.Shutdown()
			s.Cancel()
		}, frame(cancelKind|1, "") + frame(endKind|1, ""), ""},
		"no room": {func(f *fixture, c *rpc.Client, _ *rpc.LoopStream) {
			f.AfterFunc(0, func() { // comes before the reply in its iteration
				must(t, c.GoBytes(nil, large))
				c.Shutdown()
			})
		}, frame(2, string(large)) + frame(endKind|1, ""), frame(2, "")},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			var w watched
			c := f.client(transport, peer{}, w.config(rpc.Config{MaxBuffered: 1000}))
			s, err := c.GoStream(nil, rpc.StreamOptions{Input: true, Window: 7}, nil)
			must(t, err)
			_, err = file.WriteString(ourHello)
			must(t, err)
			f.until(func() bool { return rpc.Greeted(c) })
			_, err = file.WriteString(frame(1, ""))
			must(t, err)
			test.begin(f, c, s)
			said := make(chan string, 1)
			go func() {
				heard := readToEnd(file)
				_, err := file.WriteString(test.answers)
				if err := errors.Join(err, unix.Shutdown(int(file.Fd()), unix.SHUT_WR)); err != nil {
					t.Error(err)
				}
				said <- heard
			}()
			f.until(w.ended)
			if got, want := <-said, clientHello+windowCall(1, 7, true, nil)+test.want; got != want || w.destroyed != 1 {
				t.Errorf("the child reads %q\nnot %q\nOnDestroy %d times, OnError: %v", got, want, w.destroyed, w.err)
			}
		})
	}
}
