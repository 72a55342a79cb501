// Typed calls a function of a child process as if it were a local one.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

type Box struct{ Width, Height int }

// Resize is declared once, for both sides.
var Resize = rpc.NewMethod[Box, Box]("resize", jsoncodec.Codec{})

func main() {
	child.Main(child.Workers{"resizer": resizer}) // in the child: runs resizer and exits
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	proc, err := child.Start(loop, child.Config{Worker: "resizer"})
	if err != nil {
		log.Fatal(err)
	}
	client, err := rpc.NewClient(proc, rpc.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, ran := context.Background(), make(chan error, 1)
	go func() { ran <- errors.Join(loop.Run(ctx), loop.Close()) }() // the loop is that goroutine's now; Close ends calls that are left
	_, err1 := fmt.Println(Resize.Call(ctx, client, Box{640, 480}))
	_, err2 := fmt.Println(Resize.Call(ctx, client, Box{-1, 480}))
	if err := errors.Join(err1, err2, client.ShutdownWait(ctx), <-ran); err != nil { // Run ends when the child is gone
		log.Fatal(err)
	}
}

func resizer(w *child.Worker) error {
	mux := rpc.NewMux()
	Resize.Handle(mux, func(_ context.Context, b Box) (Box, error) {
		if b.Width < 0 || b.Height < 0 {
			return Box{}, fmt.Errorf("no box is %d × %d", b.Width, b.Height)
		}
		return Box{b.Width / 2, b.Height / 2}, nil
	})
	return rpc.ServeSync(w, mux.Sync())
}
