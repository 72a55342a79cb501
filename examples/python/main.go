// Python calls functions in worker.py, which needs nothing but Python's standard
// library. An exception there is an error here, and the worker goes on.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

//go:embed worker.py
var script string

func main() {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()
	proc, err := child.Start(loop, child.Config{Path: "python3", Args: []string{"-c", script}, Transport: child.Stdio})
	if err != nil {
		log.Fatal(err)
	}
	var lost error
	client, err := rpc.NewClient(proc, rpc.Config{
		OnEvent: func(event rpc.Payload) { say("event: %s\n", text(event)) },
		OnError: func(err error) { lost = err },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, call := range [][]string{
		{"add", "1", "3"}, {"mul", "3", "2"}, {"event", "half", "done"}, {"fail", "out of cheese"}, {"add", "1", "x"}, {"echo", "still", "here"},
	} {
		err := client.Go(func(reply rpc.Payload, err error) { show(call, reply, err) }, call...)
		if err != nil {
			log.Fatal(err)
		}
	}
	client.Shutdown() // no more calls: the worker answers these and exits
	err = loop.Run(context.Background())
	if err := errors.Join(err, lost); err != nil {
		log.Fatal(err)
	}
}

func show(call []string, reply rpc.Payload, err error) {
	var failed *rpc.RemoteError
	switch {
	case errors.As(err, &failed):
		say("%s: failed: %s\n", strings.Join(call, " "), failed.Message)
	case err != nil:
		log.Print(err)
	default:
		say("%s: %s\n", strings.Join(call, " "), text(reply))
	}
}

func say(format string, values ...any) {
	if _, err := fmt.Printf(format, values...); err != nil {
		log.Fatal(err)
	}
}

func text(list rpc.Payload) string {
	values, _ := list.Strings()
	return strings.Join(values, " ")
}
