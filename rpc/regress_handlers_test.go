package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// The ctx of ServeSync ended when the next call began, and that of the last call never.
func TestContextOfServeSyncEndsWithItsHandler(t *testing.T) {
	for _, how := range []string{"returns", "panics"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t)
			ended := make(chan error, 1)
			transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
				return rpc.ServeSync(fds, func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
					end := ctx.Done()
					go func() {
						<-end
						ended <- context.Cause(ctx)
					}()
					if how == "panics" {
						panic("as told")
					}
					return nil, nil
				})
			})
			c := f.client(transport, peer{}, rpc.Config{})
			_, _ = f.ask(c)
			select {
			case err := <-ended:
				if err != context.Canceled {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(guard):
				t.Error("it has not ended")
			}
		})
	}
}

// A handler that called runtime.Goexit, as a test's FailNow does, left its call without an end, and its server as well. So did one
// that panics amid it, in what it has deferred, or with nil: that was answered twice, or not at all.
func TestGoexitOfAHandlerEndsItsCall(t *testing.T) {
	for how, end := range noReturns {
		for _, limit := range []int{1, 0} {
			t.Run(fmt.Sprint(how, limit), func(t *testing.T) {
				t.Setenv("GODEBUG", "panicnil=1")
				f := newFixture(t)
				transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
					return rpc.ServeGoroutines(fds, orElse(end), limit)
				})
				var w watched
				c := f.client(transport, peer{}, w.config(rpc.Config{}))
				var lost, others []*result
				for range 100 {
					lost, others = append(lost, f.begin(c)), append(others, f.begin(c, "echo"))
				}
				c.Shutdown()
				f.until(w.ended)
				must(t, transport.Wait())
				for i := range lost {
					if _, ok := lost[i].err.(*rpc.RemoteError); !ok || lost[i].ends != 1 || others[i].ends != 1 || others[i].err != nil {
						t.Fatalf("the calls ended %d and %d times, with %v and %v", lost[i].ends, others[i].ends, lost[i].err, others[i].err)
					}
				}
				if w.destroyed != 1 {
					t.Errorf("the child ended with %v", w.err)
				}
			})
		}
	}
}

// noReturns are how a handler does not return, but for a panic.
var noReturns = map[string]func(){
	"Goexit":         runtime.Goexit,
	"panic in it":    func() { defer panic("deferred"); runtime.Goexit() },
	"panic with nil": func() { panic(nil) },
}

// orElse is a handler that returns the request, but calls end if that is empty.
func orElse(end func()) rpc.Handler {
	return func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		if len(request) == 0 {
			end()
		}
		return request, nil
	}
}

// Under ServeSync and ServeAsync a Goexit ends the server. What had been answered before, and waited for other replies, was lost, and
// the call itself. After a panic with nil, which does not end it, that had no answer.
func TestGoexitOfAHandlerLosesNoReply(t *testing.T) {
	for _, p := range []peer{{server: "sync"}, {server: "async"}, {server: "sync", wire: rpc.AnyEventSync}, {server: "async", wire: rpc.AnyEventSync}} {
		for how, end := range noReturns {
			t.Run(p.String()+" "+how, func(t *testing.T) {
				t.Setenv("GODEBUG", "panicnil=1")
				f := newFixture(t)
				transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
					s, err := rpc.NewServer(fds, rpc.ServerConfig{Wire: p.wire})
					if err != nil {
						return err
					}
					if p.server == "sync" {
						return s.ServeSync(orElse(end))
					}
					return serveOnALoop(s, func(request rpc.Payload, done rpc.Done) {
						reply, _ := orElse(end)(nil, request)
						done.ReplyBytes(reply)
					})
				})
				c := f.client(transport, p, rpc.Config{})
				var others []*result
				for range 500 { // most of them wait for others
					others = append(others, f.begin(c, "echo"))
				}
				last := f.begin(c)
				f.until(last.ended)
				if _, ok := last.err.(*rpc.RemoteError); ok != (p.wire == rpc.Evfork) || last.err == nil {
					t.Errorf("the call ended with %v", last.err)
				}
				for _, r := range others {
					if r.ends != 1 || r.err != nil {
						t.Fatalf("a call before ended %d times, with %v", r.ends, r.err)
					}
				}
			})
		}
	}
}

// The sum of very large windows was negative, and no job was ever taken.
func TestFanOutWithWindowsWithoutALimit(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		config.Window = math.MaxInt
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		defer cancel()
		y := newTally(t)
		fan := double.FanOut(ctx, clients, new(source).jobs(100), config)
		for r := range fan.Results() {
			y.add(r)
		}
		must(t, fan.Err())
		y.complete(100)
	})
}

// The ctx of ServeSync was that of the next call, too, while one that a handler had derived from it was still being ended by
// its timer, or by whoever had its cancel: the next handler's deadline could be read while it was written.
func TestContextOfServeSyncThatOthersWereDerivedFromIsNotUsedAgain(t *testing.T) {
	f := newFixture(t)
	var last context.Context
	var lastCancel context.CancelFunc
	again := 0
	transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
		return rpc.ServeSync(fds, func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
			if ctx == last {
				again++
			}
			if len(request) == 0 {
				return nil, nil
			}
			if lastCancel != nil {
				go lastCancel()
			}
			last = ctx
			_, lastCancel = context.WithTimeout(ctx, time.Nanosecond) // which ends it on another goroutine
			return nil, nil
		})
	})
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{}))
	for range 200 {
		f.begin(c, "derive")
		f.begin(c)
	}
	c.Shutdown()
	f.until(w.ended)
	must(t, transport.Wait())
	lastCancel()
	if again > 0 {
		t.Errorf("%d calls had the ctx of one before", again)
	}
}

// A parent that cannot be understood ends the handlers of ServeGoroutines that run, and none is begun any more. Now and then
// others were, in the moment between the two.
func TestViolationEndsTheHandlersThatRun(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(hello + frame(1, "") + frame(2, "") + frame(3, ""))
	must(t, err)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	var begun atomic.Int32
	err = server.ServeGoroutines(func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		begun.Add(1)
		if _, err := file.WriteString(frame(helloWord, "")); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}, 1)
	must(t, syscall.Close(theirs))
	if n := begun.Load(); n != 1 || err == nil || !strings.Contains(err.Error(), "kind 15") {
		t.Errorf("%d handlers were begun; the server returned %v", n, err)
	}
}

// Whoever answers a call of a child that is gone was told that it was lost before it was started.
func TestCallsOfALostChildMayHaveBeenStarted(t *testing.T) {
	f := newFixture(t)
	var w watched
	o := &oracle{t: t}
	tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error { return peer{server: "sync"}.serve(fds) })
	c := f.client(tr, peer{}, o.config(w.config(rpc.Config{})))
	f.begin(c, "parent", "hold")
	f.until(func() bool { return len(o.held) == 1 })
	tr.Kill()
	f.until(w.ended)
	if len(o.errs) != 1 {
		t.Errorf("OnCancel was told %d times", len(o.errs))
	}
	for _, err := range append(slices.Clone(o.errs), o.held[0].done.Reply("late")) {
		if lost, ok := errors.AsType[*rpc.LostError](err); !ok || !lost.Started || !errors.Is(err, errors.Unwrap(w.err)) {
			t.Errorf("told %v", err)
		}
	}
}
