package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
)

// Node's child_process with its IPC channel, with both of its serializations.

//go:embed node/echo.js
var nodeScript string

func addNode(r *Registry) {
	for _, serialization := range []string{"json", "advanced"} {
		name := "Node, " + serialization
		r.Enter("R1", Contestant{Name: name, Calls: 25_000, Available: nodeAvailable, Run: nodeThroughput(serialization)})
		r.Enter("R3-async", Contestant{Name: name, Calls: 3_000, Available: nodeAvailable, Run: nodeRoundTrip(serialization)})
	}
}

func nodeAvailable() error {
	node, err := exec.LookPath("node")
	if err != nil {
		return errors.New("no node in PATH")
	}
	if _, err := output(exec.Command(node, "--version")); err != nil {
		return fmt.Errorf("node does not run: %w", err)
	}
	return nil
}

func nodeThroughput(serialization string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		rate, err := runNode(serialization, s)
		return Result{Value: rate}, err
	}
}

func nodeRoundTrip(serialization string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		rate, err := runNode(serialization, s)
		if err != nil {
			return Result{}, err
		}
		return Result{Value: 1e6 / rate}, nil
	}
}

// runNode returns calls per second.
func runNode(serialization string, s Sample) (float64, error) {
	return outputNumber(exec.Command("node", "-e", nodeScript, "--", serialization,
		fmt.Sprint(s.Calls), fmt.Sprint(s.InFlight), fmt.Sprint(s.Size)))
}
