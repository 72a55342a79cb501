// Command evfork-sync is a minimal program with a sync worker.
package main

import (
	"context"

	"github.com/evfork/evfork/bench/internal/onecall"
	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

func main() {
	onecall.Main(func(w *child.Worker) error {
		return rpc.ServeSync(w, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil })
	})
}
