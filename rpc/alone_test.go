package rpc_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// aloneWorker answers each call with how many goroutines there are.
func aloneWorker(w *child.Worker) error {
	handler := func(context.Context, rpc.Payload) (rpc.Payload, error) {
		return rpc.Strings(strconv.Itoa(runtime.NumGoroutine())), nil
	}
	switch {
	case slices.Contains(os.Args, "timers"):
		return rpc.ServeSync(w, countTimers())
	case slices.Contains(os.Args, "sync"):
		return rpc.ServeSync(w, handler)
	case slices.Contains(os.Args, "goroutines"):
		return rpc.ServeGoroutines(w, handler, 1)
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

// countTimers answers each call with how many timers of the calls before have expired, and sets another.
func countTimers() rpc.Handler {
	var expired atomic.Int64
	return func(context.Context, rpc.Payload) (rpc.Payload, error) {
		n := expired.Load()
		time.AfterFunc(0, func() { expired.Add(1) })
		return rpc.Strings(strconv.FormatInt(n, 10)), nil
	}
}
