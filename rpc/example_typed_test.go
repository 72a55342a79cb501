package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

type rectangle struct{ Width, Height int }

// area is declared once, where both sides see it.
var area = rpc.NewMethod[rectangle, int]("area", cborcodec.Codec{})

// areaWorker is the child.
func areaWorker(w *child.Worker) error {
	mux := rpc.NewMux()
	area.Handle(mux, func(_ context.Context, r rectangle) (int, error) {
		if r.Width < 0 || r.Height < 0 {
			return 0, errors.New("nothing is that small")
		}
		return r.Width * r.Height, nil
	})
	return rpc.ServeSync(w, mux.Sync())
}

// startArea starts n of them.
func startArea(loop *reactor.Loop, n int) (clients []*rpc.Client, err error) {
	for range n {
		proc, err := child.Start(loop, child.Config{Worker: "area"})
		if err != nil {
			return nil, err
		}
		client, err := rpc.NewClient(proc, rpc.Config{})
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// Go is for the loop's goroutine, Call for all others.
func ExampleMethod() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	clients, err := startArea(loop, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	area.Go(clients[0], rectangle{3, 4}, func(n int, err error) {
		fmt.Println(n, err)
	})
	ctx, ran := context.Background(), make(chan error, 1)
	go func() { ran <- loop.Run(ctx) }()
	_, err = area.Call(ctx, clients[0], rectangle{-1, 1})
	fmt.Println(err)
	perimeter := rpc.NewMethod[rectangle, int]("perimeter", cborcodec.Codec{})
	_, err = perimeter.Call(ctx, clients[0], rectangle{1, 1})
	fmt.Println(errors.Is(err, rpc.ErrUnknownMethod), err)
	clients[0].ShutdownWait(ctx)
	<-ran
	// Output:
	// 12 <nil>
	// rpc: handler failed: nothing is that small
	// true rpc: method "perimeter": unknown method: the other side has area
}

// Jobs come from a sequence, and results as the workers have them.
func ExampleMethod_FanOut() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close()
	clients, err := startArea(loop, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := slices.Values([]rectangle{{1, 1}, {2, 3}, {-1, 0}, {4, 4}})
	fan := area.FanOut(context.Background(), clients, jobs, rpc.FanOutConfig{RunLoop: true})
	sum := 0
	for r := range fan.Results() {
		if r.Err != nil {
			fmt.Println(r.Req, r.Err)
			continue
		}
		sum += r.Resp
	}
	fmt.Println(sum, fan.Err())
	// Output:
	// {-1 0} rpc: handler failed: nothing is that small
	// 23 <nil>
}

// A handler that answers later serves on a loop of its own. It need not go on if
// nobody waits for the answer any more.
func ExampleMethod_HandleAsync() {
	worker := func(w *child.Worker) error {
		loop, err := reactor.New(reactor.Config{})
		if err != nil {
			return err
		}
		defer loop.Close()
		mux := rpc.NewMux()
		area.HandleAsync(mux, func(r rectangle, answer rpc.Answer[int]) {
			slow := loop.AfterFunc(time.Second, func() { answer.Reply(r.Width * r.Height) })
			answer.OnCancel(func(err error) {
				slow.Stop()
				answer.Fail(err)
			})
		})
		return rpc.ServeAsync(w, loop, mux.Async())
	}
	_ = child.Workers{"area": worker} // for child.Main
}
