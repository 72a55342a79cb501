package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

// Both sides see these.
var (
	errNoStock = errors.New("not in stock")
	shopErrors = rpc.Sentinels{"no stock": errNoStock}

	shopOrder = rpc.NewMethod[string, int]("order", jsoncodec.Codec{})
	shopWait  = rpc.NewMethod[struct{}, struct{}]("wait", jsoncodec.Codec{})
)

// shopWorker has nothing in stock.
func shopWorker(w *child.Worker) error {
	mux := rpc.NewMux()
	shopOrder.Handle(mux, func(_ context.Context, what string) (int, error) {
		return 0, fmt.Errorf("%s: %w", what, errNoStock)
	})
	shopWait.Handle(mux, func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done() // at the caller's deadline
		return struct{}{}, ctx.Err()
	})
	server, err := rpc.NewServer(w, rpc.ServerConfig{Sentinels: shopErrors})
	if err != nil {
		return err
	}
	return server.ServeSync(mux.Sync())
}

// Errors that both sides have given the same name are found by errors.Is. The ctx of
// a Call is also its handler's.
func ExampleSentinels() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := rpc.NewClient(proc, rpc.Config{Sentinels: shopErrors})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, ran := context.Background(), make(chan error, 1)
	go func() { ran <- loop.Run(ctx) }()

	_, err = shopOrder.Call(ctx, client, "spoons")
	fmt.Println(err)
	fmt.Println(errors.Is(err, errNoStock))

	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = shopWait.Call(short, client, struct{}{})
	fmt.Println(errors.Is(err, rpc.ErrDeadline))

	fmt.Println(client.ShutdownWait(ctx), <-ran)
	// Output:
	// rpc: handler failed: spoons: not in stock
	// true
	// true
	// <nil> <nil>
}
