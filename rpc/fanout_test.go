package rpc_test

import (
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// job is what the fan-outs of the tests have done.
type job struct {
	N    int
	What string // "": double N; "fail", "die", "hang"
	Pad  string
}

func doubleJob(j job, answer rpc.Answer[int]) {
	switch j.What {
	case "fail":
		answer.Fail(fmt.Errorf("job %d failed", j.N))
	case "die":
		unix.Kill(os.Getpid(), unix.SIGKILL)
	case "hang":
	default:
		answer.Reply(2 * j.N)
	}
}

// source is a sequence of jobs that knows how many were taken. special are those that do
// something else.
type source struct {
	taken   atomic.Int64
	special map[int]string
}

// jobs yields n jobs, or without end if n is negative.
func (s *source) jobs(n int) iter.Seq[job] {
	return func(yield func(job) bool) {
		for i := 0; i != n; i++ {
			s.taken.Add(1)
			if !yield(job{N: i, What: s.special[i]}) {
				return
			}
		}
	}
}

// tally checks that each job has one result, and keeps those with errors.
type tally struct {
	t       *testing.T
	seen    map[int]bool
	clients map[*rpc.Client]int
	errs    map[int]error
}

func newTally(t *testing.T) *tally {
	return &tally{t, map[int]bool{}, map[*rpc.Client]int{}, map[int]error{}}
}

func (y *tally) add(r rpc.Result[job, int]) {
	y.t.Helper()
	if y.seen[r.Req.N] {
		y.t.Errorf("job %d has a second result: %v", r.Req.N, r.Err)
	}
	y.seen[r.Req.N] = true
	y.clients[r.Client]++
	if r.Err != nil {
		y.errs[r.Req.N] = r.Err
	} else if r.Resp != 2*r.Req.N {
		y.t.Errorf("the result of job %d is %d", r.Req.N, r.Resp)
	}
}

// complete checks that the jobs with results are the first n.
func (y *tally) complete(n int) {
	y.t.Helper()
	for i := range n {
		if !y.seen[i] {
			y.t.Errorf("job %d has no result", i)
		}
	}
	if len(y.seen) != n {
		y.t.Errorf("%d jobs have results, of %d", len(y.seen), n)
	}
}

// prefix checks that all jobs that were taken have results, but for one that the
// sequence may have yielded when it was too late.
func (y *tally) prefix(s *source) {
	y.t.Helper()
	y.complete(len(y.seen))
	if late := int(s.taken.Load()) - len(y.seen); late < 0 || late > 1 {
		y.t.Errorf("%d jobs were taken, %d have results", s.taken.Load(), len(y.seen))
	}
}

// fanModes runs a test with the loop elsewhere, and with Results running it.
func fanModes(t *testing.T, test func(t *testing.T, f *fixture, config rpc.FanOutConfig)) {
	t.Run("RunLoop", func(t *testing.T) { test(t, newFixture(t), rpc.FanOutConfig{RunLoop: true}) })
	t.Run("loop elsewhere", func(t *testing.T) { test(t, newFixture(t), rpc.FanOutConfig{}) })
}

// elsewhere runs the loop on a goroutine, unless Results will.
func (f *fixture) elsewhere(config rpc.FanOutConfig) {
	if !config.RunLoop {
		f.background()
	}
}

func (f *fixture) workers(n int, server string, config rpc.Config) (clients []*rpc.Client) {
	for range n {
		clients = append(clients, f.typed(pipes(server), false, config))
	}
	return clients
}

func TestFanOutDoesEachJobOnce(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
				clients := f.workers(3, server, rpc.Config{})
				f.elsewhere(config)
				y := newTally(t)
				fan := double.FanOut(t.Context(), clients, new(source).jobs(3000), config)
				for r := range fan.Results() {
					y.add(r)
				}
				must(t, fan.Err())
				y.complete(3000)
				for _, c := range clients {
					if y.clients[c] == 0 {
						t.Error("a worker had nothing to do")
					}
				}
				if len(y.errs) > 0 {
					t.Errorf("%d jobs failed: %v", len(y.errs), y.errs)
				}
			})
		})
	}
}

func TestFanOutOfNothing(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		fan := double.FanOut(t.Context(), clients, new(source).jobs(0), config)
		for r := range fan.Results() {
			t.Errorf("the result of no job is %v", r)
		}
		must(t, fan.Err())
	})
}

func TestFanOutTakesJobsWhenThereIsRoom(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		config.Window = 3
		const room = 2 * 3
		var s source
		had := 0
		fan := double.FanOut(t.Context(), clients, s.jobs(500), config)
		for range fan.Results() {
			// Those in flight, and those being looked at.
			if ahead := int(s.taken.Load()) - had; ahead > 2*room {
				t.Fatalf("%d jobs were taken with %d results to come", s.taken.Load(), ahead)
			}
			had++
		}
		must(t, fan.Err())
	})
}

// A result does not wait for the next job to be made.
func TestFanOutYieldsWhileTheSequenceWaits(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		next := make(chan int, 1)
		next <- 0
		fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
			for n := range next {
				if !yield(job{N: n}) {
					return
				}
			}
		}, config)
		y := newTally(t)
		for r := range fan.Results() {
			y.add(r)
			if r.Req.N == 20 {
				close(next)
				continue
			}
			next <- r.Req.N + 1
		}
		must(t, fan.Err())
		y.complete(21)
	})
}
