package rpc_test

import (
	"context"
	"fmt"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// primes is a method whose reply comes in parts; sum is one whose request does.
var (
	primes = rpc.NewStreamMethod[int, rpc.None, int, string]("primes", cborcodec.Codec{})
	sum    = rpc.NewStreamMethod[string, int, rpc.None, int]("sum", cborcodec.Codec{})
)

// numbersWorker is the child.
func numbersWorker(w *child.Worker) error {
	mux := rpc.NewMux()
	primes.Handle(mux, func(_ context.Context, above int, parts *rpc.HandlerStream[rpc.None, int]) (string, error) {
		for n := above + 1; ; n++ {
			if !isPrime(n) {
				continue
			}
			if err := parts.Send(n); err != nil { // waits while the parent has enough of them
				return "", err
			}
		}
	})
	sum.Handle(mux, func(_ context.Context, what string, parts *rpc.HandlerStream[int, rpc.None]) (total int, err error) {
		for n, err := range parts.Parts() {
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	})
	return rpc.ServeGoroutines(w, mux.Goroutines(), 0)
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// startNumbers starts the child, and runs the loop until stop is called.
func startNumbers() (client *rpc.Client, stop func(), err error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return nil, nil, err
	}
	proc, err := child.Start(loop, child.Config{Worker: "numbers"})
	if err == nil {
		client, err = rpc.NewClient(proc, rpc.Config{})
	}
	if err != nil {
		loop.Close()
		return nil, nil, err
	}
	ran := make(chan error, 1)
	go func() { ran <- loop.Run(context.Background()) }()
	return client, func() {
		client.ShutdownWait(context.Background())
		<-ran
		loop.Close()
	}, nil
}

// The reply has no end: the caller takes what it wants of it.
func ExampleStreamMethod() {
	client, stop, err := startNumbers()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	for n, err := range primes.Call(context.Background(), client, rpc.StreamOptions{}, 1000).Parts() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n)
		if n > 1020 {
			break // cancels the call
		}
	}
	// Output:
	// 1009
	// 1013
	// 1019
	// 1021
}

// The request comes in parts.
func ExampleTypedStream_Send() {
	client, stop, err := startNumbers()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	call := sum.Call(context.Background(), client, rpc.StreamOptions{}, "numbers")
	for n := range 1000 {
		if err := call.Send(n); err != nil { // waits while the child has enough of them
			fmt.Println(err)
			return
		}
	}
	call.CloseSend()
	fmt.Println(call.Reply())
	// Output: 499500 <nil>
}
