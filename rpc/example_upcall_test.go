package rpc_test

import (
	"context"
	"fmt"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

var (
	price   = rpc.NewMethod[string, int]("price", jsoncodec.Codec{})     // of the parent
	invoice = rpc.NewMethod[[]string, int]("invoice", jsoncodec.Codec{}) // of the child
)

// invoiceWorker asks its parent for what only that knows.
func invoiceWorker(w *child.Worker) error {
	mux := rpc.NewMux()
	invoice.Handle(mux, func(ctx context.Context, items []string) (int, error) {
		sum := 0
		for _, item := range items {
			p, err := price.CallParent(ctx, item)
			if err != nil {
				return 0, err
			}
			sum += p
		}
		return sum, nil
	})
	return rpc.ServeSync(w, mux.Sync())
}

// The parent has a Mux, too, whose handlers run on its loop.
func ExampleMethod_CallParent() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "invoice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	prices := map[string]int{"nail": 3, "hammer": 1200}
	mux := rpc.NewMux()
	price.Handle(mux, func(_ context.Context, item string) (int, error) {
		if p, ok := prices[item]; ok {
			return p, nil
		}
		return 0, fmt.Errorf("%s is not for sale", item)
	})
	client, err := rpc.NewClient(proc, rpc.Config{OnCall: mux.Async()})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(sum int, err error) { fmt.Println(sum, err) }
	invoice.Go(client, []string{"hammer", "nail", "nail"}, show)
	invoice.Go(client, []string{"nail", "house"}, show)
	client.Shutdown()
	loop.Run(context.Background())
	// Output:
	// 1206 <nil>
	// 0 rpc: handler failed: rpc: handler failed: house is not for sale
}
