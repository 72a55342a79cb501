// Node is the second example of AnyEvent::Fork::RPC with a worker in JavaScript,
// which needs nothing but Node's standard library: three countdowns run at once in
// the worker, each tick is an event, and the last to be started ends first.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"strconv"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

//go:embed worker.js
var script string

func main() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Path: "node", Args: []string{"-e", script}, Transport: child.Stdio})
	if err != nil {
		log.Fatal(err)
	}
	var lost error
	client, err := rpc.NewClient(proc, rpc.Config{
		OnEvent: func(event rpc.Payload) { show(event, nil) },
		OnError: func(err error) { lost = err },
	})
	if err != nil {
		log.Fatal(err)
	}
	for job, to := range []string{"3", "2", "1"} {
		say("starting to count up to " + to)
		if err := client.Go(show, "count", strconv.Itoa(job+1), to, "100"); err != nil {
			log.Fatal(err)
		}
	}
	client.Shutdown() // no more calls: the worker answers these and exits
	err = loop.Run(context.Background())
	if err := errors.Join(err, lost); err != nil {
		log.Fatal(err)
	}
}

func show(list rpc.Payload, err error) {
	if err != nil {
		log.Print(err)
		return
	}
	text, _, _ := list.Next()
	say(string(text))
}

func say(text string) {
	if _, err := fmt.Println(text); err != nil {
		log.Fatal(err)
	}
}
