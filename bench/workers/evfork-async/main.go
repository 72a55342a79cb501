// Command evfork-async is a minimal program with an async worker.
package main

import (
	"github.com/evfork/evfork/bench/internal/onecall"
	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	onecall.Main(func(w *child.Worker) error {
		loop, err := reactor.New(reactor.Config{})
		if err != nil {
			return err
		}
		defer loop.Close()
		return rpc.ServeAsync(w, loop, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) })
	})
}
