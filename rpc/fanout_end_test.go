package rpc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/evfork/evfork/rpc"
)

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
	if err := fan.Err(); err != rpc.ErrClosed { // also while a call is in flight: it was an ErrNoWorkers
		t.Errorf("Err is %v", err)
	}
}

// While a loop is being closed its clients have ended before it has: that is no want of workers.
func TestFanOutWithoutJobsEndsWithItsLoop(t *testing.T) {
	f := newFixture(t)
	clients := f.workers(2, "sync", rpc.Config{OnError: func(error) {
		for range 1000 {
			runtime.Gosched() // Results would see it
		}
	}})
	over := make(chan struct{})
	fan := double.FanOut(t.Context(), clients, func(func(job) bool) {
		f.Stop()
		<-over
	}, rpc.FanOutConfig{})
	left := make(chan struct{})
	go func() {
		defer close(left)
		for range fan.Results() {
			t.Error("a result")
		}
	}()
	must(t, f.Run(t.Context()))
	must(t, f.Close())
	<-left
	close(over)
	if err := fan.Err(); !errors.Is(err, rpc.ErrClosed) || errors.Is(err, rpc.ErrNoWorkers) {
		t.Errorf("Err is %v", err)
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
