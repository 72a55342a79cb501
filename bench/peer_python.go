package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
)

// Python's concurrent.futures.ProcessPoolExecutor, with one process.

//go:embed python/echo.py
var pythonScript string

func addPython(r *Registry) {
	const name = "Python, ProcessPoolExecutor"
	r.Enter("R1", Contestant{Name: name, Calls: 3_000, Available: pythonAvailable, Run: pythonThroughput})
	r.Enter("R9", Contestant{Name: name, Calls: 1_000, Available: pythonAvailable, Run: pythonThroughput})
}

// pythonAvailable tries what a pool needs: not every build and platform has semaphores.
func pythonAvailable() error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("no python3 in PATH")
	}
	const needs = "import concurrent.futures.process, multiprocessing, multiprocessing.synchronize\n" +
		"multiprocessing.get_context('fork')"
	if _, err := output(exec.Command(python, "-c", needs)); err != nil {
		return fmt.Errorf("python3 has no process pool: %w", err)
	}
	return nil
}

// pythonThroughput has the calls made by callbacks when there are several in flight.
func pythonThroughput(s Sample) (Result, error) {
	rate, err := outputNumber(exec.Command("python3", "-c", pythonScript,
		fmt.Sprint(s.Calls), fmt.Sprint(s.InFlight), fmt.Sprint(s.Size)))
	return Result{Value: rate}, err
}
