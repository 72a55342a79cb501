package rpc_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func TestMain(m *testing.M) {
	kqsim.Install()
	if os.Getenv(serveStdioEnv) != "" {
		serveStdio()
	}
	child.Main(child.Workers{
		"serve":    serveWorker,
		"raw":      rawWorker,
		"upper":    upperWorker,
		"crash":    crashWorker,
		"progress": progressWorker,
		"typed":    typedWorker,
		"area":     areaWorker,
		"numbers":  numbersWorker,
		"invoice":  invoiceWorker,
		"shop":     shopWorker,
		"presser":  presserWorker,
		"pressed":  pressedWorker,
		"alone":    aloneWorker,
	})
	// The race detector has every process sleep for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// guard ends a test that hangs, long after it should have ended.
const guard = 2 * time.Minute

// fixture is a loop for one test, and what the test keeps on it.
type fixture struct {
	*reactor.Loop
	t       *testing.T
	servers sync.WaitGroup // those that run in this process
}

// newFixture makes a loop that is verified and closed at the end of the test.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, reactor.Config{})
}

func newFixtureWith(t *testing.T, config reactor.Config) *fixture {
	t.Helper()
	leaktest.Check(t)
	loop, err := reactor.New(config)
	must(t, err)
	f := &fixture{Loop: loop, t: t}
	t.Cleanup(func() {
		if err := loop.Verify(); err != nil {
			t.Error(err)
		}
		if err := loop.Close(); err != nil {
			t.Error(err)
		}
		f.servers.Wait()
	})
	return f
}

// serveOnALoop is ServeAsync on a loop of its own.
func serveOnALoop(s *rpc.Server, handler rpc.AsyncHandler) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	return s.ServeAsync(loop, handler)
}

// closeLoop verifies and closes a loop where there is no test to tell of an error:
// in a worker, whose end tells.
func closeLoop(loop *reactor.Loop) {
	if err := errors.Join(loop.Verify(), loop.Close()); err != nil {
		panic(err)
	}
}

// until runs the loop on the test's goroutine until cond is true.
func (f *fixture) until(cond func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), guard)
	defer cancel()
	if err := f.RunUntil(ctx, cond); err != nil {
		f.t.Fatalf("the loop ended first: %v", err)
	}
}

// background runs the loop on a goroutine of its own until the test ends.
func (f *fixture) background() {
	release := f.Hold()
	ended := make(chan error, 1)
	go func() { ended <- f.Run(context.Background()) }()
	f.t.Cleanup(func() {
		release()
		f.Stop()
		if err := <-ended; err != nil {
			f.t.Error(err)
		}
	})
}

// result is how one call ended.
type result struct {
	reply []string
	err   error
	ends  int // how often Complete was called
}

func (r *result) Complete(reply rpc.Payload, err error) {
	r.ends++
	r.err = err
	if err == nil {
		r.reply, r.err = reply.Strings()
	}
}

func (r *result) ended() bool { return r.ends > 0 }

// begin makes a call that must be accepted.
func (f *fixture) begin(c *rpc.Client, args ...string) *result {
	f.t.Helper()
	r := &result{}
	if err := c.GoTo(r, args...); err != nil {
		f.t.Fatalf("GoTo: %v", err)
	}
	return r
}

// ask makes a call and runs the loop until it has ended.
func (f *fixture) ask(c *rpc.Client, args ...string) ([]string, error) {
	f.t.Helper()
	r := f.begin(c, args...)
	f.until(r.ended)
	return r.reply, r.err
}

// works fails the test unless the client still answers.
func (f *fixture) works(c *rpc.Client) {
	f.t.Helper()
	reply, err := f.ask(c, "echo", "still", "here")
	if err != nil || len(reply) != 2 || reply[0] != "still" || reply[1] != "here" {
		f.t.Errorf("the other client answers %q, %v", reply, err)
	}
}

// watched is a client configuration that records the client's end.
type watched struct {
	destroyed, failed int
	err               error
	events            []string
	order             []string // of events, and whatever the test adds
}

func (w *watched) config(c rpc.Config) rpc.Config {
	c.OnDestroy = func() { w.destroyed++ }
	c.OnError = func(err error) { w.failed, w.err = w.failed+1, err }
	if c.OnEvent == nil {
		c.OnEvent = func(event rpc.Payload) {
			values, _ := event.Strings()
			w.events = append(w.events, values...)
			w.order = append(w.order, values...)
		}
	}
	return c
}

func (w *watched) ended() bool { return w.destroyed+w.failed > 0 }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
