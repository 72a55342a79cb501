package main

import (
	"context"
	"encoding/binary"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// This project's own contestants: the same echo served in three ways, called
// from the loop and from goroutines.

const (
	nameEvfork      = "evfork"
	nameEvforkAsync = nameEvfork + ", async worker"
	nameEvforkSync  = nameEvfork + ", sync worker"
)

func addEvfork(r *Registry) {
	for _, worker := range [][2]string{{"async", nameEvforkAsync}, {"sync", nameEvforkSync}} {
		kind, name := worker[0], worker[1]
		r.Enter("R1", Contestant{Name: name, Calls: 3_000_000, GoParent: true, Run: evforkThroughput(kind)})
		r.Enter("R2", Contestant{Name: name, Calls: 400_000, GoParent: true, Run: evforkCalls(kind)})
		r.Enter("R2", Contestant{Name: name + ", Caller", Calls: 400_000, GoParent: true, Run: evforkCallers(kind)})
		r.Enter("R3-"+kind, Contestant{Name: nameEvfork, Calls: 25_000, GoParent: true, Run: evforkRoundTrip(kind)})
		for _, bulk := range bulkScenarios {
			r.Enter(bulk.id, Contestant{Name: name, Calls: bulk.calls, GoParent: true, Run: evforkBandwidth(kind)})
		}
		r.Enter("R5", Contestant{Name: name, Calls: 1_000_000, GoParent: true, Run: evforkAllocations(kind)})
		r.Enter("R7", Contestant{Name: name, Calls: 1, GoParent: true, Available: evforkMemoryAvailable(kind), Run: evforkMemory(kind)})
		r.Enter("R9", Contestant{Name: name, Calls: 15_000, GoParent: true, Run: evforkCalls(kind)})
	}
}

// evforkWorkers are for child.Main.
func evforkWorkers() child.Workers {
	return child.Workers{
		"async": func(w *child.Worker) error {
			loop, err := reactor.New(reactor.Config{})
			if err != nil {
				return err
			}
			defer loop.Close()
			return rpc.ServeAsync(w, loop, func(request rpc.Payload, done rpc.Done) {
				reply, _ := evforkEcho(context.Background(), request)
				done.ReplyBytes(reply)
			})
		},
		"sync":              func(w *child.Worker) error { return rpc.ServeSync(w, evforkEcho) },
		"typed async":       typedMaps.serveAsync,
		"typed sync":        typedMaps.serveSync,
		"typed lists async": typedLists.serveAsync,
		"typed lists sync":  typedLists.serveSync,
	}
}

// evforkEcho answers with the request; an empty one asks what this process has
// allocated.
func evforkEcho(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
	if len(request) > 0 {
		return request, nil
	}
	a := ownAllocations()
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.mallocs), a.bytes), nil
}

// evforkChild is a loop with one worker.
type evforkChild struct {
	loop   *reactor.Loop
	client *rpc.Client
	failed error
}

func startEvfork(kind string) (*evforkChild, error) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return nil, err
	}
	e := &evforkChild{loop: loop}
	proc, err := child.Start(loop, child.Config{Worker: kind})
	if err != nil {
		return nil, err
	}
	e.client, err = rpc.NewClient(proc, rpc.Config{OnError: func(err error) { e.failed = err }})
	return e, err
}

// end lets the worker finish and reports anything that went wrong with it.
func (e *evforkChild) end() error {
	e.client.Shutdown()
	if err := e.loop.Run(context.Background()); err != nil {
		return err
	}
	if e.failed != nil {
		return e.failed
	}
	return e.loop.Close()
}

// evforkPump keeps calls in flight from the loop: each reply makes the next
// call. It is the Completion of all of them.
type evforkPump struct {
	child    *evforkChild
	echo     echoCheck
	inFlight int
	toMake   int
	toEnd    int
	err      error
}

func (p *evforkPump) Complete(reply rpc.Payload, err error) {
	if err == nil {
		err = p.echo.check(reply)
	}
	if err != nil {
		p.err = err
	}
	p.toEnd--
	if p.toMake > 0 && p.err == nil {
		p.call()
	}
}

func (p *evforkPump) call() {
	p.toMake--
	if err := p.child.client.GoBytesTo(p, p.echo.request); err != nil {
		p.err = err
	}
}

// run makes that many calls and returns when the last has ended.
func (p *evforkPump) run(calls int) error {
	p.toMake, p.toEnd = calls, calls
	for range min(p.inFlight, calls) {
		p.call()
	}
	err := p.child.loop.RunUntil(context.Background(), func() bool { return p.toEnd == 0 || p.err != nil })
	if p.err != nil {
		return p.err
	}
	return err
}

// evforkLoopSample measures calls made on the loop.
func evforkLoopSample(kind string, s Sample, take func(*evforkPump) (Result, error)) (Result, error) {
	e, err := startEvfork(kind)
	if err != nil {
		return Result{}, err
	}
	result, err := take(&evforkPump{child: e, echo: echoCheck{request: payload(s.Size)}, inFlight: s.InFlight})
	if err != nil {
		return Result{}, err
	}
	return result, e.end()
}

func evforkThroughput(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkLoopSample(kind, s, func(p *evforkPump) (Result, error) {
			m, err := measure(s.Calls, p.run)
			return m.throughput(), err
		})
	}
}

func evforkBandwidth(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkLoopSample(kind, s, func(p *evforkPump) (Result, error) {
			m, err := measure(s.Calls, p.run)
			return m.bandwidth(s.Size), err
		})
	}
}

func evforkRoundTrip(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkLoopSample(kind, s, func(p *evforkPump) (Result, error) {
			m, err := measure(s.Calls, p.run)
			return m.roundTrip(), err
		})
	}
}

func evforkAllocations(kind string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		return evforkLoopSample(kind, s, func(p *evforkPump) (Result, error) {
			return measureAllocations(s.Calls, p.run, p.askAllocations)
		})
	}
}

// askAllocations asks the worker, over the wire under test.
func (p *evforkPump) askAllocations() (a allocations, err error) {
	ended := false
	err = p.child.client.GoBytes(func(reply rpc.Payload, e error) {
		ended = true
		if err = e; e == nil {
			a = allocations{binary.BigEndian.Uint64(reply), binary.BigEndian.Uint64(reply[8:])}
		}
	}, nil)
	if err != nil {
		return a, err
	}
	if runErr := p.child.loop.RunUntil(context.Background(), func() bool { return ended }); runErr != nil {
		return a, runErr
	}
	return a, err
}

func evforkCalls(kind string) func(Sample) (Result, error) {
	return evforkEchoes(kind, func(client *rpc.Client, echo *echoCheck) func() error {
		return func() error {
			reply, err := client.CallBytes(context.Background(), echo.request)
			if err != nil {
				return err
			}
			return echo.check(reply)
		}
	})
}

// evforkCallers is evforkCalls with a Caller for each goroutine.
func evforkCallers(kind string) func(Sample) (Result, error) {
	return evforkEchoes(kind, func(client *rpc.Client, echo *echoCheck) func() error {
		caller := client.NewCaller()
		return func() error {
			reply, err := caller.CallBytes(context.Background(), echo.request)
			if err != nil {
				return err
			}
			return echo.check(reply)
		}
	})
}

// evforkEchoes measures goroutines that each call by what newCaller returns, which calls directly: a wrapper would be a frame more on
// each stack.
func evforkEchoes(kind string, newCaller func(*rpc.Client, *echoCheck) func() error) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		echo := &echoCheck{request: payload(s.Size)}
		return evforkGoroutineSample(kind, s, func(client *rpc.Client) func() error { return newCaller(client, echo) })
	}
}

// evforkGoroutineSample measures goroutines in a blocking call, the loop running on
// its own goroutine. newCaller is called once for each of them.
func evforkGoroutineSample(kind string, s Sample, newCaller func(*rpc.Client) func() error) (Result, error) {
	e, err := startEvfork(kind)
	if err != nil {
		return Result{}, err
	}
	release := e.loop.Hold()
	var m measurement
	var measured error
	go func() {
		defer release()
		m, measured = measure(s.Calls, func(calls int) error {
			return inGoroutines(s.InFlight, calls, func() func() error { return newCaller(e.client) })
		})
		e.loop.Post(e.client.Shutdown)
	}()
	if err := e.loop.Run(context.Background()); err != nil {
		return Result{}, err
	}
	if measured != nil {
		return Result{}, measured
	}
	return m.throughput(), e.end()
}
