package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// An idle loop is a process of its own that is looked at from outside, so that
// looking does not wake it. It says "ready" and ends when its input does.

const idleWorker = "idle"

func addEvforkIdle(r *Registry) {
	r.AddWorker(idleWorker, serveIdle)
	r.Enter("L4", Contestant{Name: nameEvfork, Calls: idleMilliseconds, GoParent: true, Available: canObserve, Run: evforkIdle})
}

func evforkIdle(s Sample) (Result, error) {
	cmd, err := workerCommand(idleWorker)
	if err != nil {
		return Result{}, err
	}
	idle, err := startIdle(cmd)
	if err != nil {
		return Result{}, err
	}
	result, err := idle.observe(s.Calls)
	if err != nil {
		return Result{}, err
	}
	said, err := idle.end()
	if err != nil {
		return Result{}, err
	}
	result.Extra["iterations"], err = strconv.ParseFloat(said, 64)
	return result, err
}

// serveIdle prints at its end how many iterations there were while it idled,
// the one that its input's end caused not counted.
func serveIdle() error {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	for range idleChildren {
		if _, err := child.Start(loop, child.Config{Worker: "sync"}); err != nil {
			return err
		}
	}
	for range idleWatchers {
		pair, err := openPair()
		if err != nil {
			return err
		}
		if _, err := loop.WatchFD(pair.read, reactor.Read, func(reactor.Ready) {}); err != nil {
			return err
		}
	}
	var settled uint64
	loop.AfterFunc(50*time.Millisecond, func() { // the children have said all they have to say
		settled = loop.Stats().Iterations
		fmt.Println("ready")
	})
	if _, err := loop.WatchFD(0, reactor.Read, func(reactor.Ready) { loop.Stop() }); err != nil {
		return err
	}
	if err := loop.Run(context.Background()); err != nil {
		return err
	}
	fmt.Println(loop.Stats().Iterations - settled - 1)
	return loop.Close()
}

// An idleProcess is one that is looked at.
type idleProcess struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

func startIdle(cmd *exec.Cmd) (*idleProcess, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &idleProcess{cmd, stdin, bufio.NewReader(stdout)}
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the idle process said %q: %w", line, err)
	}
	if line != "ready\n" {
		return nil, fmt.Errorf("the idle process said %q", line)
	}
	time.Sleep(settleTime)
	return p, nil
}

// settleTime is for what a process does after it has said that it is ready:
// Go's runtime, for one, gives up an idle processor some time later.
const settleTime = 100 * time.Millisecond

// observe counts for that many milliseconds.
func (p *idleProcess) observe(milliseconds int) (Result, error) {
	before, err := activityOf(p.cmd.Process.Pid)
	if err != nil {
		return Result{}, err
	}
	begin := time.Now()
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	seconds := time.Since(begin).Seconds()
	after, err := activityOf(p.cmd.Process.Pid)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Value: float64(after.switches-before.switches) / seconds,
		Extra: map[string]float64{"CPU µs/s": float64(after.cpu-before.cpu) / 1000 / seconds},
	}, nil
}

// end returns the last line that the process prints.
func (p *idleProcess) end() (string, error) {
	if err := p.stdin.Close(); err != nil {
		return "", err
	}
	said, err := io.ReadAll(p.stdout)
	return lastLine(string(said)), errors.Join(err, p.cmd.Wait())
}

// activity is what the threads of a process have done since they began.
type activity struct {
	switches int // context switches, voluntary or not
	cpu      int // nanoseconds
}

// activityOf sums over the threads there are: one that ends takes its own counts
// along, but a thread of an idle process does not end.
func activityOf(pid int) (a activity, err error) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return a, err
	}
	for _, thread := range threads {
		directory := fmt.Sprintf("/proc/%d/task/%s/", pid, thread.Name())
		status, err := os.ReadFile(directory + "status")
		if err != nil {
			return a, err
		}
		for line := range strings.Lines(string(status)) {
			name, count, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			if !strings.HasSuffix(name, "ctxt_switches") {
				continue
			}
			n, err := strconv.Atoi(count)
			if err != nil {
				return a, err
			}
			a.switches += n
		}
		scheduled, err := os.ReadFile(directory + "schedstat")
		if err != nil {
			return a, err
		}
		cpu, _, _ := strings.Cut(string(scheduled), " ")
		n, err := strconv.Atoi(cpu)
		if err != nil {
			return a, err
		}
		a.cpu += n
	}
	return a, nil
}

// canObserve is Available for contestants that are looked at from outside.
func canObserve() error {
	_, err := activityOf(unix.Getpid())
	return err
}
