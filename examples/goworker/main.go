// Goworker is a worker for an AnyEvent::Fork::RPC parent in Perl: the third
// example of that module, add and mul, with a goroutine for each call.
// docs/from-anyevent.md has the Perl side.
package main

import (
	"context"
	"fmt"
	"log"
	"strconv"

	"github.com/evfork/evfork/rpc"
)

// socket is where the adapter has put the connection to the parent.
type socket struct{}

func (socket) FDs() (readFD, writeFD int) { return 0, 1 }

func main() {
	server, err := rpc.NewServer(socket{}, rpc.ServerConfig{Wire: rpc.AnyEventAsync})
	if err == nil {
		err = server.ServeGoroutines(calculate, 0)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func calculate(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
	args, err := request.Strings()
	if err != nil || len(args) != 3 {
		return nil, fmt.Errorf("not a function and two numbers: %q", args)
	}
	a, errA := strconv.Atoi(args[1])
	b, errB := strconv.Atoi(args[2])
	switch {
	case errA != nil || errB != nil:
		return nil, fmt.Errorf("not numbers: %q", args[1:])
	case args[0] == "add":
		return rpc.Strings(strconv.Itoa(a + b)), nil
	case args[0] == "mul":
		return rpc.Strings(strconv.Itoa(a * b)), nil
	}
	return nil, fmt.Errorf("no function %q", args[0])
}
