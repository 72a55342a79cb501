package rpc_test

import (
	"context"
	"math"
	"runtime"
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

// A handler that called runtime.Goexit, as a test's FailNow does, left its call without an end, and its server as well.
func TestGoexitOfAHandlerEndsItsCall(t *testing.T) {
	for _, limit := range []int{1, 0} {
		f := newFixture(t)
		transport := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
			return rpc.ServeGoroutines(fds, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
				if len(request) == 0 {
					runtime.Goexit()
				}
				return request, nil
			}, limit)
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
			if lost[i].ends != 1 || lost[i].err == nil || !strings.Contains(lost[i].err.Error(), "Goexit") || others[i].ends != 1 || others[i].err != nil {
				t.Fatalf("the calls ended %d and %d times, with %v and %v", lost[i].ends, others[i].ends, lost[i].err, others[i].err)
			}
		}
		if w.destroyed != 1 {
			t.Errorf("the child ended with %v", w.err)
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
