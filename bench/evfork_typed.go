package main

import (
	"context"

	"github.com/evfork/evfork/bench/internal/record"
	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/cborcodec"
)

// R6: a struct instead of bytes, as a map with the names of its fields, which is what package cbor makes of a struct, and as a list.

// typedEcho is a method that echoes a T, as both sides declare it.
type typedEcho[T any] struct {
	method  *rpc.Method[T, T]
	example func() T
	same    func(sent, back T) error // by value: a pointer would have each reply allocated
}

var (
	typedMaps  = typedEcho[record.Record]{newEcho[record.Record](), record.Example, record.Record.Same}
	typedLists = typedEcho[record.Listed]{newEcho[record.Listed](), record.ExampleListed, record.Listed.Same}
)

func newEcho[T any]() *rpc.Method[T, T] { return rpc.NewMethod[T, T]("echo", cborcodec.Codec{}) }

func addEvforkTyped(r *Registry) {
	for _, worker := range [][2]string{{"async", nameEvforkAsync}, {"sync", nameEvforkSync}} {
		kind, name := worker[0], worker[1]
		r.Enter("R6", Contestant{Name: name, Calls: 120_000, GoParent: true, Run: typedMaps.sample("typed " + kind)})
		r.Enter("R6", Contestant{Name: name + ", lists", Calls: 120_000, GoParent: true, Run: typedLists.sample("typed lists " + kind)})
	}
}

func (e typedEcho[T]) serveSync(w *child.Worker) error {
	mux := rpc.NewMux()
	e.method.Handle(mux, func(_ context.Context, request T) (T, error) { return request, nil })
	return rpc.ServeSync(w, mux.Sync())
}

func (e typedEcho[T]) serveAsync(w *child.Worker) error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer loop.Close()
	mux := rpc.NewMux()
	e.method.HandleAsync(mux, func(request T, answer rpc.Answer[T]) { answer.Reply(request) })
	return rpc.ServeAsync(w, loop, mux.Async())
}

func (e typedEcho[T]) sample(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkGoroutineSample(kind, s, func(client *rpc.Client) func() error {
			request := e.example()
			return func() error {
				reply, err := e.method.Call(context.Background(), client, request)
				if err != nil {
					return err
				}
				return e.same(request, reply)
			}
		})
	}
}
