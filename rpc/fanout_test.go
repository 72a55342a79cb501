package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
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

// A worker that reads nothing has started nothing: what it was given is done by others.
func TestFanOutGivesUnstartedJobsToOthers(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		proc := f.raw(child.Config{}, write(hello), wait)
		idle := f.client(proc, peer{}, rpc.Config{})
		clients := append(f.workers(1, "sync", rpc.Config{}), idle)
		f.elsewhere(config)
		config.Window = 5
		y := newTally(t)
		fan := double.FanOut(t.Context(), clients, new(source).jobs(100), config)
		for r := range fan.Results() {
			y.add(r)
			if len(y.seen) == 95 { // the others are with the idle one
				must(t, proc.Kill())
			}
		}
		must(t, fan.Err())
		y.complete(100)
		if len(y.errs) > 0 || y.clients[idle] > 0 {
			t.Errorf("errors %v; the idle worker has done %d jobs", y.errs, y.clients[idle])
		}
	})
}

func TestFanOutGoesOnWithoutADeadWorker(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(3, "sync", rpc.Config{})
		f.elsewhere(config)
		y := newTally(t)
		s := source{special: map[int]string{100: "die", 700: "die"}}
		fan := double.FanOut(t.Context(), clients, s.jobs(2000), config)
		for r := range fan.Results() {
			y.add(r)
		}
		must(t, fan.Err())
		y.complete(2000)
		for n, err := range y.errs {
			var lost *rpc.LostError
			if !errors.As(err, &lost) || !lost.Started {
				t.Errorf("job %d ended with %v", n, err)
			}
		}
		if y.errs[100] == nil || y.errs[700] == nil {
			t.Error("the jobs that killed their workers have replies")
		}
	})
}

func TestFanOutWithoutWorkersLeft(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		y := newTally(t)
		s := source{special: map[int]string{}}
		for n := 50; n < 1000; n += 10 { // a worker may take several of these with it
			s.special[n] = "die"
		}
		fan := double.FanOut(t.Context(), clients, s.jobs(-1), config)
		for r := range fan.Results() {
			y.add(r)
		}
		var exit *child.ExitError
		if err := fan.Err(); !errors.Is(err, rpc.ErrNoWorkers) || !errors.As(err, &exit) {
			t.Errorf("Err is %v", err)
		}
		y.prefix(&s)
		for n, err := range y.errs {
			var lost *rpc.LostError
			if !errors.Is(err, rpc.ErrNoWorkers) && (!errors.As(err, &lost) || !lost.Started) {
				t.Errorf("job %d ended with %v", n, err)
			}
		}
	})
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

func TestFanOutErrorsAreResults(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "async", rpc.Config{MaxFrame: 1000})
		f.elsewhere(config)
		y := newTally(t)
		fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
			_ = yield(job{N: 0}) && yield(job{N: 1, What: "fail"}) && yield(job{N: 2, Pad: strings.Repeat("x", 1000)}) && yield(job{N: 3})
		}, config)
		for r := range fan.Results() {
			y.add(r)
		}
		must(t, fan.Err())
		y.complete(4)
		var remote *rpc.RemoteError
		if len(y.errs) != 2 || !errors.As(y.errs[1], &remote) || !errors.Is(y.errs[2], rpc.ErrTooLarge) {
			t.Errorf("the errors are %v", y.errs)
		}
	})
}

func TestFanOutReportsJobsThatCannotBeEncoded(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		bad := rpc.NewMethod[any, int]("double", jsoncodec.Codec{})
		fan := bad.FanOut(t.Context(), clients, slices.Values([]any{make(chan int), job{N: 4}}), config)
		var got []string
		for r := range fan.Results() {
			got = append(got, fmt.Sprint(r.Resp, errors.Is(r.Err, rpc.ErrBadRequest), r.Client != nil))
		}
		must(t, fan.Err())
		slices.Sort(got)
		if !slices.Equal(got, []string{"0 true false", "8 false true"}) {
			t.Errorf("the results are %q", got)
		}
	})
}

func TestFanOutStopsOnTheFirstError(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		config.StopOnError = true
		y := newTally(t)
		s := source{special: map[int]string{300: "fail", 301: "fail"}}
		fan := double.FanOut(t.Context(), clients, s.jobs(-1), config)
		for r := range fan.Results() {
			y.add(r)
		}
		var remote *rpc.RemoteError
		if !errors.As(fan.Err(), &remote) || !strings.HasPrefix(remote.Message, "job 30") {
			t.Errorf("Err is %v", fan.Err())
		}
		y.prefix(&s)
		if config.RunLoop {
			_, err := askTyped(f, clients[0], double, job{N: 1})
			must(t, err) // the clients are as good as before
		}
	})
}

func TestFanOutEndsWithItsContext(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "async", rpc.Config{})
		f.elsewhere(config)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		y := newTally(t)
		s := source{special: map[int]string{150: "hang"}}
		fan := double.FanOut(ctx, clients, s.jobs(-1), config)
		for r := range fan.Results() {
			if y.add(r); len(y.seen) == 200 {
				cancel()
			}
		}
		if fan.Err() != context.Canceled {
			t.Errorf("Err is %v", fan.Err())
		}
		y.prefix(&s)
		if y.errs[150] != context.Canceled {
			t.Errorf("the job that hangs ended with %v", y.errs[150])
		}
		for n, err := range y.errs {
			if err != context.Canceled {
				t.Errorf("job %d ended with %v", n, err)
			}
		}
	})
}

func TestFanOutWithAnEndedContextTakesAlmostNothing(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		y := newTally(t)
		var s source
		fan := double.FanOut(ctx, clients, s.jobs(-1), config)
		for r := range fan.Results() {
			y.add(r)
		}
		if fan.Err() != context.Canceled || len(y.seen) > 2*16 {
			t.Errorf("Err is %v after %d results", fan.Err(), len(y.seen))
		}
	})
}

func TestFanOutCanBeLeft(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		var ended atomic.Bool
		fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
			defer ended.Store(true)
			new(source).jobs(-1)(yield)
		}, config)
		n := 0
		for range fan.Results() {
			if n++; n == 10 {
				break
			}
		}
		must(t, fan.Err())
		if config.RunLoop {
			must(t, f.RunUntil(t.Context(), func() bool { return clients[0].InFlight()+clients[1].InFlight() == 0 }))
		}
		for range fan.Results() {
			t.Error("the second range has results")
		}
		if !errors.Is(fan.Err(), rpc.ErrFanOut) {
			t.Errorf("Err of the second range is %v", fan.Err())
		}
	})
}

func TestFanOutPanicsWithItsSequence(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		y := newTally(t)
		func() {
			defer func() {
				if r := recover(); r != "out of jobs" {
					t.Errorf("recovered %v", r)
				}
			}()
			fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
				new(source).jobs(30)(yield)
				panic("out of jobs")
			}, config)
			for r := range fan.Results() {
				y.add(r)
			}
			t.Error("Results has returned")
		}()
		y.complete(30)
	})
}

// A client that is full for other reasons than the fan-out's gets its jobs later.
func TestFanOutWaitsForRoomInAClient(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{MaxInFlight: 2})
		f.elsewhere(config)
		config.Window = 50
		y := newTally(t)
		fan := double.FanOut(t.Context(), clients, new(source).jobs(1000), config)
		for r := range fan.Results() {
			y.add(r)
		}
		must(t, fan.Err())
		y.complete(1000)
		if len(y.errs) > 0 {
			t.Errorf("errors: %v", y.errs)
		}
	})
}

func TestFanOutGivesNothingToAClientThatIsShutDown(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		clients[0].Shutdown()
		f.elsewhere(config)
		y := newTally(t)
		fan := double.FanOut(t.Context(), clients, new(source).jobs(200), config)
		for r := range fan.Results() {
			y.add(r)
		}
		must(t, fan.Err())
		y.complete(200)
		if len(y.errs) > 0 || y.clients[clients[1]] != 200 {
			t.Errorf("errors %v, jobs %v", y.errs, y.clients)
		}
	})
}

func TestFanOutEndsWithItsLoop(t *testing.T) {
	f := newFixture(t)
	clients := f.workers(1, "async", rpc.Config{})
	ran := make(chan error, 1)
	go func() { ran <- f.Run(context.Background()) }()
	y := newTally(t)
	s := source{special: map[int]string{20: "hang"}}
	fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
		s.jobs(21)(yield)
		f.Stop()
		ran <- errors.Join(<-ran, f.Close())
	}, rpc.FanOutConfig{Window: 30})
	for r := range fan.Results() {
		y.add(r)
	}
	must(t, <-ran) // Results need not wait for the sequence
	y.complete(21)
	if !errors.Is(y.errs[20], rpc.ErrClosed) {
		t.Errorf("the job that hangs ended with %v", y.errs[20])
	}
}

func TestFanOutEndsWithAStopOfItsLoop(t *testing.T) {
	f := newFixture(t)
	clients := f.workers(1, "async", rpc.Config{})
	y := newTally(t)
	s := source{special: map[int]string{0: "hang"}} // which is taken before those that end
	fan := double.FanOut(t.Context(), clients, s.jobs(21), rpc.FanOutConfig{RunLoop: true})
	for r := range fan.Results() {
		if y.add(r); len(y.seen) == 20 {
			f.Stop()
		}
	}
	y.complete(21)
	if fan.Err() == nil || y.errs[0] == nil || !strings.Contains(fan.Err().Error(), "stopped") {
		t.Errorf("Err is %v", fan.Err())
	}
}

func TestFanOutOfBadClientsIsRefused(t *testing.T) {
	f := newFixture(t)
	other, err := reactor.New(reactor.Config{})
	must(t, err)
	defer closeLoop(other)
	ours, theirs := socketpair(t)
	defer unix.Close(theirs)
	stranger, err := rpc.NewClient(rpc.NewStreamTransport(other, ours, ours), rpc.Config{})
	must(t, err)
	for name, clients := range map[string][]*rpc.Client{
		"none":      nil,
		"two loops": append(f.workers(1, "sync", rpc.Config{}), stranger),
	} {
		fan := double.FanOut(t.Context(), clients, new(source).jobs(1), rpc.FanOutConfig{RunLoop: true})
		for r := range fan.Results() {
			t.Errorf("%s: a result: %v", name, r)
		}
		if !errors.Is(fan.Err(), rpc.ErrFanOut) {
			t.Errorf("%s: Err is %v", name, fan.Err())
		}
	}
}
