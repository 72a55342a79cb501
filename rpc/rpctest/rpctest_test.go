package rpctest_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

func TestMain(m *testing.M) {
	kqsim.Install()
	child.Main(child.Workers{"echo": func(w *child.Worker) error { return rpc.ServeSync(w, echo) }})
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newLoop makes a loop that is verified and closed when the test ends, and
// everything else that the test leaves is reported.
func newLoop(t *testing.T) *reactor.Loop {
	t.Helper()
	return newLoopWith(t, reactor.Config{})
}

func newLoopWith(t *testing.T, config reactor.Config) *reactor.Loop {
	t.Helper()
	rpctest.CheckLeaks(t)
	loop, err := reactor.New(config)
	must(t, err)
	t.Cleanup(func() {
		if err := loop.Verify(); err != nil {
			t.Error(err)
		}
		must(t, loop.Close())
	})
	return loop
}

// closeLoop verifies and closes a loop where there is no test to tell of an error:
// in a worker, whose end tells.
func closeLoop(loop *reactor.Loop) {
	if err := errors.Join(loop.Verify(), loop.Close()); err != nil {
		panic(err)
	}
}

func until(t *testing.T, loop *reactor.Loop, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := loop.RunUntil(ctx, cond); err != nil {
		t.Fatalf("the loop ended first: %v", err)
	}
}

// echo answers with the request; "fail" with an error.
func echo(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
	if string(request) == "fail" {
		return nil, errors.New("as told")
	}
	return request, nil
}

func serveSync(fds rpc.FDs) error { return rpc.ServeSync(fds, echo) }

func serveGoroutines(fds rpc.FDs) error { return rpc.ServeGoroutines(fds, echo, 0) }

func serveAsync(fds rpc.FDs) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	return rpc.ServeAsync(fds, loop, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) })
}

// eachServer runs a test against the three servers.
func eachServer(t *testing.T, test func(t *testing.T, serve func(rpc.FDs) error)) {
	for name, serve := range map[string]func(rpc.FDs) error{"sync": serveSync, "async": serveAsync, "goroutines": serveGoroutines} {
		t.Run(name, func(t *testing.T) { test(t, serve) })
	}
}

// log is what became of one client.
type log struct {
	t         *testing.T
	loop      *reactor.Loop
	client    *rpc.Client
	calls     []*call
	events    []string
	destroyed int
	failed    []error
}

type call struct {
	reply string
	err   error
	ends  int
}

func (c *call) Complete(reply rpc.Payload, err error) {
	c.ends++
	c.reply, c.err = string(reply), err
}

func newLog(t *testing.T, loop *reactor.Loop, transport rpc.Transport) *log {
	t.Helper()
	l := &log{t: t, loop: loop}
	var err error
	l.client, err = rpc.NewClient(transport, rpc.Config{
		OnEvent:   func(event rpc.Payload) { l.events = append(l.events, string(event)) },
		OnDestroy: func() { l.destroyed++ },
		OnError:   func(err error) { l.failed = append(l.failed, err) },
	})
	must(t, err)
	return l
}

// call makes a call, which may be refused if the child has gone.
func (l *log) call(request string) *call {
	l.t.Helper()
	c := &call{}
	must(l.t, l.client.GoBytesTo(c, []byte(request)))
	l.calls = append(l.calls, c)
	return c
}

func (l *log) ended() bool { return l.destroyed+len(l.failed) > 0 }

func (l *log) wait() {
	l.t.Helper()
	until(l.t, l.loop, l.ended)
}

// onceEach fails the test unless everything has ended exactly once.
func (l *log) onceEach() {
	l.t.Helper()
	for i, c := range l.calls {
		if c.ends != 1 {
			l.t.Errorf("call %d ended %d times", i, c.ends)
		}
	}
	if l.destroyed+len(l.failed) != 1 {
		l.t.Errorf("OnDestroy was called %d times, OnError with %v", l.destroyed, l.failed)
	}
}

func TestCallsAreAnsweredAndShutdownIsOrderly(t *testing.T) {
	eachServer(t, func(t *testing.T, serve func(rpc.FDs) error) {
		loop := newLoop(t)
		tr := rpctest.Start(t, loop, serve)
		l := newLog(t, loop, tr)
		for _, request := range []string{"one", "", "three"} {
			l.call(request)
		}
		l.client.Shutdown()
		l.wait()
		l.onceEach()
		for i, want := range []string{"one", "", "three"} {
			if l.calls[i].err != nil || l.calls[i].reply != want {
				t.Errorf("call %d: %q, %v", i, l.calls[i].reply, l.calls[i].err)
			}
		}
		if l.destroyed != 1 {
			t.Errorf("OnError: %v", l.failed)
		}
		must(t, tr.Wait())
	})
}
