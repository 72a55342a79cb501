package rpc_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

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

// When the last worker goes, nobody waits for a sequence to say whether that was all.
func TestFanOutThatLosesItsLastWorkerWithTheLastJob(t *testing.T) {
	for _, window := range []int{1, 2} { // the sequence is in yield, or has not come to its end
		fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
			clients := f.workers(1, "sync", rpc.Config{})
			f.elsewhere(config)
			config.Window = window
			over, left := make(chan struct{}), make(chan struct{})
			fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
				defer close(left)
				if yield(job{What: "die"}) {
					<-over
				}
			}, config)
			y := newTally(t)
			for r := range fan.Results() {
				y.add(r)
			}
			close(over)
			<-left
			y.complete(1)
			var lost *rpc.LostError
			if err := fan.Err(); !errors.Is(err, rpc.ErrNoWorkers) || errors.Is(y.errs[0], rpc.ErrNoWorkers) || !errors.As(y.errs[0], &lost) || !lost.Started {
				t.Errorf("the job ended with %v, and Err is %v", y.errs[0], err)
			}
		})
	}
}

// Of workers that had nothing to do when they went a fan-out heard with its next job, and its sequence may wait for ever.
func TestFanOutThatLosesItsWorkersBetweenJobs(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(2, "sync", rpc.Config{})
		f.elsewhere(config)
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		defer cancel()
		over, left := make(chan struct{}), make(chan struct{})
		fan := double.FanOut(ctx, clients, func(yield func(job) bool) {
			defer close(left)
			yield(job{})
			<-over
		}, config)
		y := newTally(t)
		for r := range fan.Results() {
			y.add(r)
			for _, c := range clients {
				must(t, f.Post(c.Shutdown))
			}
		}
		close(over)
		<-left
		y.complete(1)
		if err := fan.Err(); !errors.Is(err, rpc.ErrNoWorkers) || !isLost(err) || len(y.errs) > 0 {
			t.Errorf("Err is %v, errors: %v", err, y.errs)
		}
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
