package main

import (
	"fmt"
	"os/exec"

	"golang.org/x/sys/unix"
)

// R8: what workers cost that have nothing to do. workers/evfork-crowd measures.

const (
	nameEvforkAmong = nameEvfork + ", among 500 idle workers"
	crowdWorkers    = 500
	crowdWorkersCut = 10 // of a short sample
	crowdCalls      = 15_000
	crowdBulk       = "µs/call in flight"

	// Each worker has four pipes' ends and a pidfd in the parent.
	crowdDescriptors = 5*crowdWorkers + 100
)

func addEvforkCrowd(r *Registry) {
	r.Enter("R8", Contestant{
		Name: nameEvforkAlone, Calls: crowdCalls, GoParent: true,
		Available: crowdAvailable, Run: evforkCrowd(0),
	})
	r.Enter("R8", Contestant{
		Name: nameEvforkAmong, Calls: crowdCalls, GoParent: true,
		Available: crowdAvailable, Run: evforkCrowd(crowdWorkers),
	})
}

func crowdAvailable() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	if limit.Max < crowdDescriptors {
		return fmt.Errorf("no more than %d descriptors, %d are needed", limit.Max, crowdDescriptors)
	}
	return buildWorker("evfork-crowd")
}

func evforkCrowd(idle int) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		idle := idle
		if s.Short {
			idle = min(idle, crowdWorkersCut)
		}
		program, err := workerProgram("evfork-crowd")
		if err != nil {
			return Result{}, err
		}
		out, err := output(exec.Command(program, fmt.Sprint(idle), fmt.Sprint(s.Calls), fmt.Sprint(s.InFlight), fmt.Sprint(s.Size)))
		if err != nil {
			return Result{}, err
		}
		var oneAtATime, inBulk float64
		if _, err := fmt.Sscan(out, &oneAtATime, &inBulk); err != nil {
			return Result{}, fmt.Errorf("%q: %w", out, err)
		}
		return Result{Value: oneAtATime, Extra: map[string]float64{crowdBulk: inBulk}}, nil
	}
}
