package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// upperWorker answers one call at a time. It is registered by
//
//	child.Main(child.Workers{"upper": upperWorker})
func upperWorker(w *child.Worker) error {
	return rpc.ServeSync(w, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
		words, err := request.Strings()
		if err != nil {
			return nil, err
		}
		if len(words) == 0 {
			return nil, errors.New("nothing to do")
		}
		for i := range words {
			words[i] = strings.ToUpper(words[i])
		}
		return rpc.Strings(words...), nil
	})
}

// The loop's goroutine queues calls, and is called back.
func ExampleClient_Go() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "upper"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := rpc.NewClient(proc, rpc.Config{OnDestroy: func() { fmt.Println("all done") }})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(reply rpc.Payload, err error) {
		words, _ := reply.Strings()
		fmt.Println(words, err)
	}
	client.Go(show, "hello", "world")
	client.Go(show)
	client.Shutdown() // no more calls: the child answers these, and exits
	loop.Run(context.Background())
	// Output:
	// [HELLO WORLD] <nil>
	// [] rpc: handler failed: nothing to do
	// all done
}

// Every other goroutine makes calls like those of functions.
func ExampleClient_Call() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "upper"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error, 1)
	go func() { ran <- loop.Run(context.Background()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply, err := client.Call(ctx, "hello")
	word, _, _ := reply.Next()
	fmt.Println(string(word), err)
	client.ShutdownWait(ctx)
	<-ran
	// Output: HELLO <nil>
}

// A goroutine that makes very many calls has a Caller, which allocates nothing: each reply is valid until the next call.
func ExampleClient_NewCaller() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "upper"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ran := make(chan error, 1)
	go func() { ran <- loop.Run(context.Background()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	caller := client.NewCaller()
	for _, word := range []string{"hello", "world"} {
		reply, err := caller.Call(ctx, word)
		if err != nil {
			fmt.Println(err)
			return
		}
		upper, _, err := reply.Next()
		fmt.Printf("%s %v\n", upper, err)
	}
	if err := errors.Join(client.ShutdownWait(ctx), <-ran); err != nil {
		fmt.Println(err)
	}
	// Output:
	// HELLO <nil>
	// WORLD <nil>
}

// progressWorker answers when its work is done, and tells of it meanwhile. A
// loop of its own lets it do several things at a time.
func progressWorker(w *child.Worker) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	server, err := rpc.NewServer(w, rpc.ServerConfig{})
	if err != nil {
		return err
	}
	return server.ServeAsync(loop, func(_ rpc.Payload, done rpc.Done) {
		percent := 0
		var tick *reactor.Timer
		tick = loop.Every(time.Millisecond, time.Millisecond, func() {
			if percent += 25; percent < 100 {
				server.Event(fmt.Sprintf("%d %%", percent))
				return
			}
			tick.Stop()
			done.Reply("finished")
		})
	})
}

// Events arrive among the replies, in the order in which the child sent them.
func ExampleServer_Event() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "progress"})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(payload rpc.Payload, _ error) {
		words, _ := payload.Strings()
		fmt.Println(words[0])
	}
	client, err := rpc.NewClient(proc, rpc.Config{OnEvent: func(event rpc.Payload) { show(event, nil) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Go(show)
	client.Shutdown()
	loop.Run(context.Background())
	// Output:
	// 25 %
	// 50 %
	// 75 %
	// finished
}

// crashWorker does not answer.
func crashWorker(w *child.Worker) error {
	return rpc.ServeSync(w, func(context.Context, rpc.Payload) (rpc.Payload, error) {
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
}

// A child that dies ends its calls with the reason, and with what is needed to
// decide whether to make them again.
func ExampleLostError() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Worker: "crash"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Go(func(_ rpc.Payload, err error) {
		var lost *rpc.LostError
		var exit *child.ExitError
		if errors.As(err, &lost) && errors.As(err, &exit) {
			fmt.Println("may have been started:", lost.Started)
			fmt.Println("the child was", exit.State)
		}
	}, "something")
	loop.Run(context.Background())
	// Output:
	// may have been started: true
	// the child was killed by signal 9 (killed)
}
