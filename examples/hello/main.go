package main

import (
	"context"
	"fmt"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"greet": greet}) // in the child: runs greet and exits
	loop, _ := reactor.New(reactor.Config{})
	proc, _ := child.Start(loop, child.Config{Worker: "greet"})
	client, _ := rpc.NewClient(proc, rpc.Config{})
	client.Go(func(reply rpc.Payload, err error) {
		values, _ := reply.Strings()
		fmt.Println(values, err)
	}, "world")
	client.Shutdown() // no more calls: the child answers and exits, and Run has nothing left
	loop.Run(context.Background())
}

func greet(w *child.Worker) error {
	return rpc.ServeSync(w, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		name, _, err := request.Next()
		return rpc.Strings("hello " + string(name)), err
	})
}
