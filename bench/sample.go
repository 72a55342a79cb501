package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The bench binary has two hidden roles, chosen by environment so that no
// argument of a contestant can be mistaken for them: a process that takes one
// sample and prints it, and the child of a contestant.
const (
	sampleVariable = "EVFORK_BENCH_SAMPLE"
	workerVariable = "EVFORK_BENCH_WORKER"
)

// sampleTimeout is far above what a sample takes, also on a loaded machine.
const sampleTimeout = 2 * time.Minute

// sampleOrder is what the harness asks a fresh process for.
type sampleOrder struct {
	Scenario   string `json:"scenario"`
	Contestant string `json:"contestant"`
	Sample     Sample `json:"sample"`
}

// runHiddenRole returns false when this process is neither role. The variable
// is removed first: a child that inherited it would take the role again.
func runHiddenRole(r *Registry) (handled bool, err error) {
	if name, ok := takeVariable(workerVariable); ok {
		serve := r.workers[name]
		if serve == nil {
			return true, fmt.Errorf("no worker %q", name)
		}
		return true, serve()
	}
	if order, ok := takeVariable(sampleVariable); ok {
		return true, answerOrder(r, order)
	}
	return false, nil
}

func takeVariable(name string) (string, bool) {
	value, ok := os.LookupEnv(name)
	os.Unsetenv(name)
	return value, ok
}

func answerOrder(r *Registry, text string) error {
	var order sampleOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return err
	}
	s := r.scenario(order.Scenario)
	if s == nil {
		return fmt.Errorf("no scenario %q", order.Scenario)
	}
	c := s.contestant(order.Contestant)
	if c == nil {
		return fmt.Errorf("no contestant %q in %s", order.Contestant, s.ID)
	}
	result, err := c.Run(order.Sample)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// runInFreshProcess takes one sample in a process of its own, so that no
// sample sees the heap, the goroutines or the file descriptors of another.
func runInFreshProcess(ctx context.Context, e *entry) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	order, err := json.Marshal(sampleOrder{e.scenario.ID, e.contestant.Name, e.sample})
	if err != nil {
		return Result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, sampleTimeout, errors.New("took too long"))
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A process group, so that a sample can be ended together with its children.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a child that left the group may hold the pipes open
	cmd.Env = sampleEnvironment(string(order), e.procs)
	if err := startOnCPUs(cmd, e.cpus); err != nil {
		return Result{}, err
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if err != nil {
		return Result{}, fmt.Errorf("%w: %s", err, lastLine(stderr.String()))
	}
	var result Result
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		return Result{}, fmt.Errorf("unreadable sample: %w", err)
	}
	return result, nil
}

// sampleEnvironment passes GOMAXPROCS on to the contestant's children too: a
// limit set by environment applies to a whole process tree in practice.
func sampleEnvironment(order string, procs int) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GOMAXPROCS=") {
			env = append(env, variable)
		}
	}
	env = append(env, sampleVariable+"="+order)
	if procs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(procs))
	}
	return env
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
