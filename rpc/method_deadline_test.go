package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

func TestTypedHandlersContextHasTheCallsDeadline(t *testing.T) {
	serve := map[string]func(*rpc.Mux, rpc.FDs) error{
		"sync":       func(mux *rpc.Mux, fds rpc.FDs) error { return rpc.ServeSync(fds, mux.Sync()) },
		"goroutines": func(mux *rpc.Mux, fds rpc.FDs) error { return rpc.ServeGoroutines(fds, mux.Goroutines(), 0) },
		"async": func(mux *rpc.Mux, fds rpc.FDs) error {
			loop, err := reactor.New(reactor.Config{})
			if err != nil {
				return err
			}
			defer closeLoop(loop)
			return rpc.ServeAsync(fds, loop, mux.Async())
		},
	}
	for name, serve := range serve {
		eachHanded(t, name, func(t *testing.T, codec rpc.Codec) {
			f := newFixture(t)
			bounded := rpc.NewMethod[[]string, []string]("bounded", codec)
			tr := rpctest.Start(t, f.Loop, func(fds rpc.FDs) error {
				mux := rpc.NewMux()
				bounded.Handle(mux, func(ctx context.Context, _ []string) ([]string, error) {
					if _, ok := ctx.Deadline(); ok {
						return []string{"yes"}, nil
					}
					return []string{"no"}, nil
				})
				return serve(mux, fds)
			})
			c := f.client(tr, peer{}, rpc.Config{})
			f.background()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			for want, ctx := range map[string]context.Context{"no": t.Context(), "yes": ctx} {
				// The hello must have come before a deadline travels: the first call waits for it.
				_, err := bounded.Call(t.Context(), c, nil)
				must(t, err)
				reply, err := bounded.Call(ctx, c, nil)
				if err != nil || len(reply) != 1 || reply[0] != want {
					t.Errorf("the handler has a deadline: %q, %v; want %s", reply, err, want)
				}
			}
		})
	}
}
