package main

import (
	"net/rpc"
	"os/exec"

	"github.com/evfork/evfork/bench/internal/gobecho"
	"github.com/evfork/evfork/bench/internal/record"
)

// Go's own net/rpc, with gob, over two pipes to a child: what comes with Go.

const (
	netRPCWorker         = "net/rpc echo"
	netRPCBlockingWorker = "net/rpc echo, blocking"
)

func addNetRPC(r *Registry) {
	r.AddWorker(netRPCWorker, gobecho.Serve)
	r.AddWorker(netRPCBlockingWorker, gobecho.ServeBlocking)
	atItsBest, blocking := netRPCThroughput(netRPCWorker), netRPCThroughput(netRPCBlockingWorker)
	asInherited := nameNetRPC + ", child blocking"
	r.Enter("R1", Contestant{Name: nameNetRPC + ", goroutines", Calls: 50_000, GoParent: true, Run: atItsBest})
	r.Enter("R2", Contestant{Name: nameNetRPC, Calls: 50_000, GoParent: true, Run: atItsBest})
	r.Enter("R2", Contestant{Name: asInherited, Calls: 40_000, GoParent: true, Run: blocking})
	for _, bulk := range bulkScenarios {
		r.Enter(bulk.id, Contestant{Name: nameNetRPC + ", goroutines", Calls: bulk.calls / 3, GoParent: true, Run: netRPCBandwidth})
	}
	r.Enter("R5", Contestant{Name: nameNetRPC, Calls: 40_000, GoParent: true, Run: netRPCAllocations})
	r.Enter("R6", Contestant{Name: nameNetRPC, Calls: 30_000, GoParent: true, Run: netRPCTyped})
	r.Enter("R7", Contestant{Name: nameNetRPC, Calls: 1, GoParent: true, Available: netRPCMemoryAvailable, Run: netRPCMemory})
	r.Enter("R9", Contestant{Name: nameNetRPC, Calls: 6_000, GoParent: true, Run: atItsBest})
	r.Enter("R9", Contestant{Name: asInherited, Calls: 1_500, GoParent: true, Run: blocking})
}

func netRPCThroughput(worker string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		m, err := netRPCMeasured(worker, s, netRPCEcho)
		return m.throughput(), err
	}
}

func netRPCBandwidth(s Sample) (Result, error) {
	m, err := netRPCMeasured(netRPCWorker, s, netRPCEcho)
	return m.bandwidth(s.Size), err
}

// netRPCTyped is R6: the same struct as this project's contestant there sends.
func netRPCTyped(s Sample) (Result, error) {
	m, err := netRPCMeasured(netRPCWorker, s, func(client *rpc.Client, _ Sample) func() func() error {
		request := record.Example()
		return func() func() error {
			return func() error {
				var reply record.Record // gob leaves alone what is zero: a new one each time
				if err := client.Call("Echo.Record", &request, &reply); err != nil {
					return err
				}
				return request.Same(reply)
			}
		}
	})
	return m.throughput(), err
}

// netRPCMeasured starts the worker, makes InFlight goroutines call it, and ends it.
func netRPCMeasured(worker string, s Sample, newCaller func(*rpc.Client, Sample) func() func() error) (measurement, error) {
	child, client, err := startNetRPC(worker)
	if err != nil {
		return measurement{}, err
	}
	m, err := measure(s.Calls, func(calls int) error { return inGoroutines(s.InFlight, calls, newCaller(client, s)) })
	if err != nil {
		return measurement{}, err
	}
	client.Close()
	return m, child.end()
}

func netRPCAllocations(s Sample) (Result, error) {
	child, client, err := startNetRPC(netRPCWorker)
	if err != nil {
		return Result{}, err
	}
	calls := func(calls int) error { return inGoroutines(s.InFlight, calls, netRPCEcho(client, s)) }
	result, err := measureAllocations(s.Calls, calls, func() (allocations, error) {
		var child gobecho.Allocations
		err := client.Call("Echo.Allocated", struct{}{}, &child)
		return allocations{child.Mallocs, child.Bytes}, err
	})
	if err != nil {
		return Result{}, err
	}
	client.Close()
	return result, child.end()
}

func startNetRPC(worker string) (*pipedChild, *rpc.Client, error) {
	cmd, err := workerCommand(worker)
	if err != nil {
		return nil, nil, err
	}
	child, err := startPiped(cmd)
	if err != nil {
		return nil, nil, err
	}
	return child, rpc.NewClient(child), nil
}

// netRPCEcho makes callers that send bytes.
func netRPCEcho(client *rpc.Client, s Sample) func() func() error {
	echo := &echoCheck{request: payload(s.Size)}
	return func() func() error {
		var reply []byte // reused: gob fills what is large enough
		return func() error {
			if err := client.Call("Echo.Echo", echo.request, &reply); err != nil {
				return err
			}
			return echo.check(reply)
		}
	}
}

func netRPCMemoryAvailable() error {
	if err := canReadMemory(); err != nil {
		return err
	}
	return buildWorker("netrpc")
}

func netRPCMemory(s Sample) (Result, error) {
	program, err := workerProgram("netrpc")
	if err != nil {
		return Result{}, err
	}
	child, err := startPiped(exec.Command(program))
	if err != nil {
		return Result{}, err
	}
	client := rpc.NewClient(child)
	if err := netRPCEcho(client, s)()(); err != nil {
		return Result{}, err
	}
	result, err := residentMemory(child.cmd.Process.Pid)
	if err != nil {
		return Result{}, err
	}
	client.Close()
	return result, child.end()
}
