// Goroutines is the third example of AnyEvent::Fork::RPC, with goroutines in the
// place of coroutines: in the parent each calls functions of a child process as if
// they were local, and in the child each call has one of its own, so that a
// function may block.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"sync"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

func main() {
	child.Main(child.Workers{"arithmetic": arithmetic})
	if err := parent(); err != nil {
		log.Fatal(err)
	}
}

// parent runs the loop; whoever calls the child does so on another goroutine.
func parent() error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "arithmetic"})
	if err != nil {
		return err
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		return err
	}
	calculated := make(chan error, 1)
	go func() {
		err := calculate(client)
		calculated <- errors.Join(err, client.ShutdownWait(context.Background()))
	}()
	if err := loop.Run(context.Background()); err != nil { // until the child is gone
		return err
	}
	return <-calculated
}

// calculate calls add and mul at the same time and prints what they returned.
func calculate(client *rpc.Client) error {
	add, mul := remote(client, "add"), remote(client, "mul")
	var sum, product int
	var sumErr, productErr error
	var calls sync.WaitGroup
	calls.Go(func() { sum, sumErr = add(1, 3) })
	calls.Go(func() { product, productErr = mul(3, 2) })
	calls.Wait()
	if err := errors.Join(sumErr, productErr); err != nil {
		return err
	}
	_, err := fmt.Printf("add 1 3 → %d\nmul 3 2 → %d\n", sum, product)
	return err
}

// remote makes a function of the child look like a local one.
func remote(client *rpc.Client, name string) func(x, y int) (int, error) {
	return func(x, y int) (int, error) {
		reply, err := client.Call(context.Background(), name, strconv.Itoa(x), strconv.Itoa(y))
		if err != nil {
			return 0, err
		}
		result, _, err := reply.Next()
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(string(result))
	}
}

// arithmetic is the child.
func arithmetic(w *child.Worker) error {
	functions := map[string]func(x, y int) int{
		"add": func(x, y int) int { return x + y },
		"mul": func(x, y int) int { return x * y },
	}
	return rpc.ServeGoroutines(w, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		args, err := request.Strings()
		if err != nil || len(args) != 3 || functions[args[0]] == nil {
			return nil, fmt.Errorf("not a function and two numbers: %q", args)
		}
		x, err := strconv.Atoi(args[1])
		if err != nil {
			return nil, err
		}
		y, err := strconv.Atoi(args[2])
		if err != nil {
			return nil, err
		}
		return rpc.Strings(strconv.Itoa(functions[args[0]](x, y))), nil
	}, 0)
}
