package main

import (
	"fmt"
	"net/rpc"
	"os/exec"

	"github.com/evfork/evfork/bench/internal/gobecho"
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
	r.Enter("R1", Contestant{Name: nameNetRPC + ", goroutines", Calls: 150_000, GoParent: true, Run: atItsBest})
	r.Enter("R2", Contestant{Name: nameNetRPC, Calls: 150_000, GoParent: true, Run: atItsBest})
	r.Enter("R2", Contestant{Name: asInherited, Calls: 100_000, GoParent: true, Run: blocking})
	r.Enter("R5", Contestant{Name: nameNetRPC, Calls: 100_000, GoParent: true, Run: netRPCAllocations})
	r.Enter("R7", Contestant{Name: nameNetRPC, Calls: 1, GoParent: true, Available: netRPCMemoryAvailable, Run: netRPCMemory})
	r.Enter("R9", Contestant{Name: nameNetRPC, Calls: 15_000, GoParent: true, Run: atItsBest})
	r.Enter("R9", Contestant{Name: asInherited, Calls: 3_000, GoParent: true, Run: blocking})
}

func netRPCThroughput(worker string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		child, client, err := startNetRPC(worker)
		if err != nil {
			return Result{}, err
		}
		m, err := measure(s.Calls, netRPCCalls(client, s))
		if err != nil {
			return Result{}, err
		}
		client.Close()
		return m.throughput(), child.end()
	}
}

func netRPCAllocations(s Sample) (Result, error) {
	child, client, err := startNetRPC(netRPCWorker)
	if err != nil {
		return Result{}, err
	}
	result, err := measureAllocations(s.Calls, netRPCCalls(client, s), func() (allocations, error) {
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

// netRPCCalls is one run of a sample: InFlight goroutines, each in Call.
func netRPCCalls(client *rpc.Client, s Sample) func(calls int) error {
	request := payload(s.Size)
	newCaller := func() func() error {
		var reply []byte // reused: gob fills what is large enough
		return func() error {
			if err := client.Call("Echo.Echo", request, &reply); err != nil {
				return err
			}
			if len(reply) != len(request) {
				return fmt.Errorf("a reply of %d bytes", len(reply))
			}
			return nil
		}
	}
	return func(calls int) error { return inGoroutines(s.InFlight, calls, newCaller) }
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
	var reply []byte
	if err := client.Call("Echo.Echo", payload(s.Size), &reply); err != nil {
		return Result{}, err
	}
	result, err := residentMemory(child.cmd.Process.Pid)
	if err != nil {
		return Result{}, err
	}
	client.Close()
	return result, child.end()
}
