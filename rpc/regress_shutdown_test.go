package rpc_test

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
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
