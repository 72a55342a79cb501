package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func TestMain(m *testing.M) {
	child.Main(child.Workers{"greeter": greeter})
	// The race detector has every process sleep for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// A request that was held, or was to crash the worker, kept that from ending when its client had gone: after Ctrl-C the
// program waited for ten seconds, and failed.
func TestRequestWhoseClientHasGoneEnds(t *testing.T) {
	for _, path := range []string{"/hold", "/crash"} {
		t.Run(path, func(t *testing.T) {
			leaktest.Check(t)
			loop, err := reactor.New(reactor.Config{})
			must(t, err)
			defer loop.Close()
			proc, err := child.Start(loop, child.Config{Worker: "greeter"})
			must(t, err)
			orderly := false
			client, err := rpc.NewClient(proc, rpc.Config{OnDestroy: func() { orderly = true }})
			must(t, err)
			call, err := client.GoWith(nil, rpc.CallOptions{}, rpc.Strings(path))
			must(t, err)
			must(t, client.Go(func(rpc.Payload, error) { // the call before has been begun
				client.Cancel(call)
				client.Shutdown()
			}, "/"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			must(t, loop.Run(ctx))
			if !orderly {
				t.Error("the worker was lost")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
