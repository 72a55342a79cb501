package main

import (
	"context"

	"github.com/evfork/evfork/bench/internal/record"
	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// R6: a struct instead of bytes.

// typedEcho is the method, as both sides declare it.
var typedEcho = rpc.NewMethod[record.Record, record.Record]("echo", cborcodec.Codec{})

func addEvforkTyped(r *Registry) {
	for _, worker := range [][2]string{{"async", nameEvforkAsync}, {"sync", nameEvforkSync}} {
		r.Enter("R6", Contestant{Name: worker[1], Calls: 120_000, GoParent: true, Run: evforkTyped("typed " + worker[0])})
	}
}

func serveTypedSync(w *child.Worker) error {
	mux := rpc.NewMux()
	typedEcho.Handle(mux, func(_ context.Context, request record.Record) (record.Record, error) { return request, nil })
	return rpc.ServeSync(w, mux.Sync())
}

func serveTypedAsync(w *child.Worker) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	mux := rpc.NewMux()
	typedEcho.HandleAsync(mux, func(request record.Record, answer rpc.Answer[record.Record]) { answer.Reply(request) })
	return rpc.ServeAsync(w, loop, mux.Async())
}

func evforkTyped(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkGoroutineSample(kind, s, func(client *rpc.Client) func() error {
			request := record.Example()
			return func() error {
				reply, err := typedEcho.Call(context.Background(), client, request)
				if err != nil {
					return err
				}
				return request.Same(&reply)
			}
		})
	}
}
