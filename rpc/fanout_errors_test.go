package rpc_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

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
			if nobody := errors.Is(r.Err, rpc.ErrTooLarge); nobody != (r.Client == nil) {
				t.Errorf("job %d, which ended with %v, was had by %v", r.Req.N, r.Err, r.Client)
			}
		}
		must(t, fan.Err())
		y.complete(4)
		var remote *rpc.RemoteError
		if len(y.errs) != 2 || !errors.As(y.errs[1], &remote) || !errors.Is(y.errs[2], rpc.ErrTooLarge) {
			t.Errorf("the errors are %v", y.errs)
		}
	})
}

// A sequence that ended its goroutine, as a FailNow in it does, was taken for one that had come to its end.
func TestFanOutWhoseSequenceLeavesItsGoroutine(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
			if yield(job{N: 0}) && yield(job{N: 1}) {
				runtime.Goexit()
			}
		}, config)
		y := newTally(t)
		for r := range fan.Results() {
			y.add(r)
		}
		y.complete(2)
		if err := fan.Err(); !errors.Is(err, rpc.ErrFanOut) || !strings.Contains(err.Error(), "goroutine") {
			t.Errorf("it ended with %v", err)
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

// Results does not wait for a sequence of which no job is wanted any more.
func TestFanOutThatStopsLeavesItsSequenceBehind(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		config.StopOnError = true
		over, left := make(chan struct{}), make(chan struct{})
		fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
			defer close(left)
			yield(job{What: "fail"})
			<-over
			if yield(job{}) {
				t.Error("another job is wanted")
			}
		}, config)
		n := 0
		for range fan.Results() {
			n++
		}
		close(over)
		<-left
		if n != 1 || fan.Err() == nil {
			t.Errorf("%d results, and Err is %v", n, fan.Err())
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
