package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// waits are the ways in which a side of a streamed call waits for the other. begin makes
// the call and returns when it waits, with the function that waits on.
var waits = []struct {
	name    string
	options rpc.StreamOptions
	request rpc.Payload
	wait    func(s *rpc.Stream) error
}{
	{"the caller for parts", rpc.StreamOptions{Input: true}, request("sum"), func(s *rpc.Stream) error {
		for part, err := range s.Parts() {
			if part != nil {
				return fmt.Errorf("a part %q", part)
			}
			return err
		}
		return nil
	}},
	{"the caller for the reply", rpc.StreamOptions{Input: true}, request("sum"), func(s *rpc.Stream) error {
		_, err := s.Reply()
		return err
	}},
	{"the caller for credit", rpc.StreamOptions{Input: true, Window: 1}, request("count", 1000, 10), func(s *rpc.Stream) error {
		for {
			if err := s.Send(make([]byte, 1000)); err != nil {
				return err
			}
		}
	}},
	{"the handler for credit", rpc.StreamOptions{Window: 10}, request("count", 1_000_000, 10), func(s *rpc.Stream) error {
		for _, err := range s.Parts() {
			if err != nil {
				return err
			}
		}
		return nil
	}},
}

// endings are how a streamed call ends while somebody waits; check is told the error.
var streamEndings = []struct {
	name  string
	end   func(e *streamEnding)
	check func(err error) bool
}{
	{"cancel", func(e *streamEnding) { e.stream.Cancel() }, func(err error) bool { return errors.Is(err, rpc.ErrCanceled) }},
	{"context", func(e *streamEnding) { e.cancel(errors.New("enough")) }, func(err error) bool {
		return errors.Is(err, rpc.ErrCanceled) && err.Error() == rpc.ErrCanceled.Error()+": enough"
	}},
	{"kill", func(e *streamEnding) { e.proc.Signal(syscall.SIGKILL) }, func(err error) bool {
		exit, ok := errors.AsType[*child.ExitError](err)
		return ok && exit.State.Signal == syscall.SIGKILL
	}},
	{"close", func(e *streamEnding) { e.loop.Stop(); <-e.ran; e.loop.Close() }, func(err error) bool { return errors.Is(err, rpc.ErrClosed) }},
	{"shutdown", func(e *streamEnding) {
		e.loop.Post(e.client.Shutdown)
		e.loop.Do(e.t.Context(), func() {})
		e.stream.Cancel()
	}, func(err error) bool {
		return errors.Is(err, rpc.ErrCanceled)
	}},
}

// streamEnding is a streamed call that ends while somebody waits.
type streamEnding struct {
	t      *testing.T
	loop   *reactor.Loop
	ran    chan error
	proc   *child.Process
	client *rpc.Client
	stream *rpc.Stream
	cancel context.CancelCauseFunc
}

// run runs the loop on a goroutine, until it is stopped.
func (e *streamEnding) run() {
	e.ran = make(chan error, 1)
	release := e.loop.Hold()
	go func() {
		defer close(e.ran)
		defer release()
		e.ran <- e.loop.Run(context.Background())
	}()
}

func TestStreamedCallEndsOnceWhileSomebodyWaits(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, w := range waits {
			for _, ending := range streamEndings {
				t.Run(server+"/"+w.name+"/"+ending.name, func(t *testing.T) {
					f := newFixture(t)
					p := pipes(server)
					p.window = 100
					e := &streamEnding{t: t, loop: f.Loop}
					e.proc = f.spawn(p, child.Config{})
					e.client = f.client(e.proc, p, rpc.Config{})
					e.run()
					defer func() { e.loop.Stop(); <-e.ran }()
					var ctx context.Context
					ctx, e.cancel = context.WithCancelCause(t.Context())
					defer e.cancel(nil)
					e.stream = e.client.CallStream(ctx, w.options, w.request)
					ended := make(chan error, 1)
					go func() { ended <- w.wait(e.stream) }()
					e.untilBegun()
					ending.end(e)
					err := <-ended
					_, reply := e.stream.Reply()
					if !ending.check(err) || !ending.check(reply) {
						t.Errorf("the waiting ended with %v, the call with %v", err, reply)
					}
					if ending.name == "cancel" || ending.name == "context" {
						got, err := e.client.Call(t.Context(), "echo", "still")
						if err != nil || string(got) != "\x05still" {
							t.Errorf("the next call: %q, %v", got, err)
						}
					}
					if ending.name == "shutdown" {
						must(t, e.client.ShutdownWait(t.Context()))
					}
				})
			}
		}
	}
}

// untilBegun waits until the child has been given the call. (Whether it waits already
// is all the same: the ending must be right at any moment.)
func (e *streamEnding) untilBegun() {
	for begun := false; !begun; {
		must(e.t, e.loop.Do(e.t.Context(), func() { begun = e.client.InFlight() == 1 && e.loop.Stats().Buffered == 0 }))
	}
}

// The deadline ends both sides.
func TestStreamedCallEndsAtItsDeadline(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, w := range waits {
			t.Run(server+"/"+w.name, func(t *testing.T) {
				f := newFixture(t)
				p := pipes(server)
				p.window = 100
				c := f.connect(p, rpc.Config{})
				f.background()
				must(t, warm(t, c))
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				s := c.CallStream(ctx, w.options, w.request)
				err := w.wait(s)
				if !errors.Is(err, rpc.ErrDeadline) {
					t.Errorf("the waiting ended with %v", err)
				}
				if got, err := c.Call(t.Context(), "echo", "still"); err != nil || string(got) != "\x05still" {
					t.Errorf("the next call: %q, %v", got, err)
				}
			})
		}
	}
}

// warm has the child say hello.
func warm(t *testing.T, c *rpc.Client) error {
	_, err := c.Call(t.Context(), "echo")
	return err
}

// A client that is shut down lets its streamed calls go on, with parts and credit.
func TestShutdownLetsStreamedCallsGoOn(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 100
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true, Window: 50}, request("pipe"))
		must(t, s.Send([]byte("first")))
		n := 0
		for part, err := range s.Parts() {
			must(t, err)
			if n++; n == 1 {
				must(t, f.Do(t.Context(), c.Shutdown))
			}
			if len(part) > 20_000 {
				s.CloseSend()
				continue
			}
			must(t, s.Send(append(part, part...)))
		}
		if reply, err := s.Reply(); err != nil || n != 13 {
			t.Errorf("%d parts, %q, %v", n, reply, err)
		}
		must(t, c.ShutdownWait(t.Context()))
		must(t, f.Do(t.Context(), func() {})) // OnDestroy comes last
		if w.destroyed != 1 || w.failed != 0 {
			t.Errorf("OnDestroy %d times, OnError %d times: %v", w.destroyed, w.failed, w.err)
		}
		if _, err := c.CallStream(t.Context(), rpc.StreamOptions{}, nil).Reply(); err == nil {
			t.Error("a call was made after the end")
		}
	})
}
