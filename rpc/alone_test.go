package rpc_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/yield"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// aloneWorker answers each call with how many goroutines there are.
func aloneWorker(w *child.Worker) error {
	if slices.Contains(os.Args, "sync") {
		return rpc.ServeSync(w, func(context.Context, rpc.Payload) (rpc.Payload, error) {
			return rpc.Strings(strconv.Itoa(runtime.NumGoroutine())), nil
		})
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	return rpc.ServeAsync(w, loop, func(_ rpc.Payload, done rpc.Done) {
		_ = done.Reply(strconv.Itoa(runtime.NumGoroutine()))
	})
}

// TestWorkerThatIsAloneKeepsItsProcessor, and serves all the same: calls with pauses of the length for which it does, and with a longer one. It
// ends when its input does.
func TestWorkerThatIsAloneKeepsItsProcessor(t *testing.T) {
	for _, server := range []string{"sync", "async"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			config := child.Config{Worker: "alone", Args: []string{server}, Env: append(os.Environ(), "GOMAXPROCS=1")}
			unhurried(&config)
			proc, err := child.Start(f.Loop, config)
			must(t, err)
			var end error
			ended := false
			c := f.client(proc, peer{}, rpc.Config{OnError: func(err error) { end = err }, OnDestroy: func() { ended = true }})
			for _, pause := range slices.Concat(slices.Repeat([]time.Duration{300 * time.Microsecond}, 100), []time.Duration{3 * yield.Slice, 0}) {
				reply, err := f.ask(c)
				must(t, err)
				if !slices.Equal(reply, []string{"1"}) {
					t.Fatalf("the worker has %q goroutines, want only its own", reply)
				}
				over := false
				f.AfterFunc(pause, func() { over = true })
				f.until(func() bool { return over })
			}
			c.Shutdown()
			f.until(func() bool { return ended })
			must(t, end)
		})
	}
}
