package rpc_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
	"github.com/evfork/evfork/rpc/rpctest"
)

// A deadline of long ago, beyond what a Duration holds, never came: a difference had overflowed.
func TestDeadlineOfCenturiesAgoEndsTheCall(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	for _, year := range []int{1, 1700, 1970} {
		r, _ := f.beginWith(c, rpc.CallOptions{Deadline: time.Date(year, 1, 2, 0, 0, 0, 0, time.UTC)}, "echo")
		f.until(r.ended)
		if !errors.Is(r.err, rpc.ErrDeadline) {
			t.Errorf("the call of the year %d ended with %v", year, r.err)
		}
	}
}

// A deadline in the far future had passed for a server that was older than its client.
func TestDeadlineInManyCenturiesHasNotPassed(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	f.servers.Go(func() {
		defer unix.Close(theirs)
		if err := server.ServeSync(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil }); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	must(t, f.Poll(time.Millisecond)) // later than the server's beginning
	c := f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, rpc.Config{})
	f.ask(c, "echo") // from now on deadlines travel
	for _, deadline := range []time.Time{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(math.MaxInt64)} {
		r, _ := f.beginWith(c, rpc.CallOptions{Deadline: deadline}, "echo")
		f.until(r.ended)
		if r.err != nil {
			t.Errorf("the call until %v ended with %v", deadline, r.err)
		}
	}
}

// A very long AbandonTimeout had passed when any other call's deadline did.
func TestAbandonTimeoutOfCenturiesHasNotPassed(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{AbandonTimeout: math.MaxInt64})
	abandoned, id := f.beginWith(c, rpc.CallOptions{}, "hold")
	c.Cancel(id)
	late, _ := f.beginWith(c, within(time.Millisecond), "hold")
	f.until(func() bool { return abandoned.ended() && late.ended() })
	f.works(c)
}

// A handler of ServeSync that waited with a ctx which does not end with its own, for credit that never came after the
// cancel, or the deadline, kept the server for ever.
func TestWaitForCreditEndsWithTheHandlersOwnContext(t *testing.T) {
	for _, server := range []string{"sync", "goroutines"} {
		for _, how := range []string{"cancel", "deadline"} {
			t.Run(server+" "+how, func(t *testing.T) {
				f := newFixture(t)
				ended := make(chan error, 1)
				handler := func(ctx context.Context, _ rpc.Payload) (_ rpc.Payload, err error) {
					for err == nil {
						err = rpc.SendPart(context.WithoutCancel(ctx), []byte("part"))
					}
					ended <- err
					return nil, err
				}
				transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
					if server == "sync" {
						return rpc.ServeSync(fds, handler)
					}
					return rpc.ServeGoroutines(fds, handler, 0)
				})
				c := f.client(transport, peer{}, rpc.Config{})
				options := rpc.StreamOptions{Window: 1}
				if how == "deadline" {
					options.Deadline = time.Now().Add(50 * time.Millisecond)
				}
				r := &partResult{}
				s, err := c.GoStream(r, options, nil)
				must(t, err)
				s.Pause()
				f.until(func() bool { return r.parts > 0 || r.ended() })
				if how == "cancel" {
					s.Cancel()
				}
				f.until(func() bool { return r.ended() && c.InFlight() == 0 })
				if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("SendPart returned %v", err)
				}
			})
		}
	}
}

// partResult counts the parts before the end.
type partResult struct {
	result
	parts int
}

func (p *partResult) Part(rpc.Payload) { p.parts++ }

// Who made a call again in the callback of its end, with the same deadline, had the loop do nothing else: of a child
// whose hello had not come there was no limit to that. The same with one that was cancelled again.
func TestCallThatIsMadeAgainAtItsEndLetsTheLoopGoOn(t *testing.T) {
	for name, options := range map[string]rpc.StreamOptions{"deadline": {Deadline: time.Now()}, "cancel": {}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			transport, _ := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			other, _ := f.beginWith(c, rpc.CallOptions{Deadline: time.Now()}, "echo")
			const enough = 1000
			ends, over := 0, false
			var again funcCompletion
			begin := func() {
				s, err := c.GoStream(again, options, nil)
				must(t, err)
				if name == "cancel" && !s.Cancel() {
					t.Error("there is nothing to cancel")
				}
			}
			again = func(err error) {
				if ends++; !over && ends < enough && (errors.Is(err, rpc.ErrDeadline) || errors.Is(err, rpc.ErrCanceled)) {
					begin()
				}
			}
			begin()
			for ends == 0 {
				must(t, f.Poll(-1))
			}
			if ends == enough {
				t.Error("the loop has done nothing else")
			}
			over = true
			f.until(other.ended)
		})
	}
}

// A handler on a loop that had not asked to be told of the deadline could send parts behind it: Part returned nil for each.
func TestPartIsRefusedBehindTheDeadline(t *testing.T) {
	f := newFixture(t)
	begun := false
	for left := time.Millisecond; !begun; left *= 2 { // a call that comes late is not begun
		deadline := rpc.Strings("deadline", string(bigEndian(0))+string(bigEndian(uint64(left))))
		call := frame(metaKind|1, string(rpc.Strings(string(deadline))))
		serveAsyncRaw(f, rpc.ServerConfig{}, strangersHello+call, func(_ rpc.Payload, done rpc.Done) {
			begun = true
			until, _ := done.Context().Deadline()
			f.AfterFunc(time.Until(until), func() {
				if err := done.PartBytes(nil); err != rpc.ErrDeadline {
					t.Errorf("PartBytes returned %v", err)
				}
				must(t, done.Reply())
			})
		})
	}
}

// The deadline of a goroutine's call that was made before the child's hello had come did not travel: a handler that waited
// for the end of its ctx waited for ever, or until the runtime ended the worker for want of anything else to do.
func TestDeadlineOfTheFirstCallReachesTheHandler(t *testing.T) {
	bounded := func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		_, ok := ctx.Deadline()
		return rpc.Strings(strconv.FormatBool(ok)), nil
	}
	typed := rpc.NewMethod[int, bool]("bounded", cborcodec.Codec{}) // which is handed over
	mux := rpc.NewMux()
	typed.Handle(mux, func(ctx context.Context, _ int) (ok bool, _ error) {
		_, ok = ctx.Deadline()
		return ok, nil
	})
	untyped := func(reply rpc.Payload, err error) (bool, error) {
		return string(reply) == string(rpc.Strings("true")), err
	}
	for _, c := range []struct {
		name    string
		handler rpc.Handler
		call    func(ctx context.Context, c *rpc.Client) (bool, error)
	}{
		{"Call", bounded, func(ctx context.Context, c *rpc.Client) (bool, error) { return untyped(c.Call(ctx)) }},
		{"Caller", bounded, func(ctx context.Context, c *rpc.Client) (bool, error) { return untyped(c.NewCaller().Call(ctx)) }},
		{"typed", mux.Sync(), func(ctx context.Context, c *rpc.Client) (bool, error) { return typed.Call(ctx, c, 0) }},
		{"FanOut", mux.Sync(), func(ctx context.Context, c *rpc.Client) (ok bool, err error) {
			for r := range typed.FanOut(ctx, []*rpc.Client{c}, slices.Values([]int{0}), rpc.FanOutConfig{Timeout: guard}).Results() {
				ok, err = r.Resp, r.Err
			}
			return ok, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			client := f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, rpc.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			defer cancel()
			var err error
			ok, ended := false, false
			go func() {
				reply, failure := c.call(ctx, client)
				_ = f.Post(func() { ok, err, ended = reply, failure, true })
			}()
			f.until(func() bool { return f.Stats().Posts > 0 }) // the loop knows of the call
			f.servers.Go(func() {
				defer unix.Close(theirs)
				if err := rpc.ServeSync(sameFD(theirs), c.handler); err != nil {
					t.Errorf("the server: %v", err)
				}
			})
			f.until(func() bool { return ended })
			if err != nil || !ok {
				t.Errorf("the handler's ctx has a deadline: %v; %v", ok, err)
			}
		})
	}
}
