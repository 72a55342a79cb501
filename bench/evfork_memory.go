package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// evforkMemory measures the worker of a minimal program, workers/evfork-<kind>:
// parent and worker are one binary, as for any user of child.Main. The program
// makes one call, prints its worker's pid and waits for its input to end.
func evforkMemory(kind string) func(Sample) (Result, error) {
	return func(Sample) (Result, error) {
		program, err := workerProgram("evfork-" + kind)
		if err != nil {
			return Result{}, err
		}
		cmd := exec.Command(program)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return Result{}, err
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return Result{}, err
		}
		if err := cmd.Start(); err != nil {
			return Result{}, err
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			return Result{}, fmt.Errorf("%s did not name its worker: %w", program, err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return Result{}, err
		}
		result, err := residentMemory(pid)
		if err != nil {
			return Result{}, err
		}
		if err := stdin.Close(); err != nil {
			return Result{}, err
		}
		return result, cmd.Wait()
	}
}

func evforkMemoryAvailable(kind string) func() error {
	return func() error {
		if err := canReadMemory(); err != nil {
			return err
		}
		return buildWorker("evfork-" + kind)
	}
}
