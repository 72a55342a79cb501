package rpc_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// Every third job is held, and the handler of each hears of it.
func TestFanOutTimeoutEndsAJob(t *testing.T) {
	const jobs, timeout = 60, time.Millisecond
	eachBoundedHolding(t, func(t *testing.T, server holding) {
		fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
			h := newHolders(t, server)
			clients := []*rpc.Client{h.connect(f), h.connect(f)}
			f.elsewhere(config)
			config.Window, config.Timeout = 3, timeout
			y := newTally(t)
			var given [jobs]time.Time // or earlier
			fan := double.FanOut(t.Context(), clients, func(yield func(job) bool) {
				for i := range jobs {
					given[i] = time.Now()
					if !yield(job{N: i, What: map[bool]string{true: "hold"}[i%3 == 0]}) {
						return
					}
				}
			}, config)
			for r := range fan.Results() {
				y.add(r)
				if r.Err == nil && r.Req.What == "hold" {
					t.Errorf("job %d has a reply", r.Req.N)
				}
				if r.Err == nil { // a slow machine has others that are late, too
					continue
				}
				if !errors.Is(r.Err, rpc.ErrDeadline) || r.Client == nil {
					t.Errorf("job %d ended with %v", r.Req.N, r.Err)
				}
				if took := time.Since(given[r.Req.N]); took < timeout {
					t.Errorf("job %d was too late after %v", r.Req.N, took)
				}
			}
			must(t, fan.Err())
			y.complete(jobs)
			f.allAnswered(config, clients)
			if len(h.told) != len(h.begun) {
				t.Errorf("%d handlers held calls, %d were told", len(h.begun), len(h.told))
			}
		})
	})
}

func TestFanOutTimeoutIsTheHandlersDeadline(t *testing.T) {
	eachBoundedHolding(t, func(t *testing.T, server holding) {
		fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
			clients := []*rpc.Client{newHolders(t, server).connect(f)}
			f.elsewhere(config)
			for _, config.Timeout = range []time.Duration{guard, 0} {
				y := newTally(t)
				for r := range double.FanOut(t.Context(), clients, (&source{special: map[int]string{2: "bounded"}}).jobs(5), config).Results() {
					y.add(r)
				}
				y.complete(5)
				if failed := len(y.errs) == 1; failed != (config.Timeout == 0) || len(y.errs) > 1 {
					t.Errorf("with a timeout of %v: %v", config.Timeout, y.errs)
				}
			}
		})
	})
}

// A job is given to a child in an iteration whose other callbacks take longer than
// its timeout: that counts from then on, not from the iteration's Now.
func TestFanOutTimeoutIsNeverEarly(t *testing.T) {
	const timeout = 20 * time.Millisecond
	f := newFixture(t)
	transport, file := f.stranger()
	var given time.Time // or earlier
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1, OnEvent: func(rpc.Payload) {
		for start := time.Now(); time.Since(start) < timeout; {
		}
		given = time.Now()
	}})
	fan := double.FanOut(t.Context(), []*rpc.Client{c}, func(yield func(job) bool) {
		if yield(job{N: 0}) && yield(job{N: 1}) { // which waits for the end of the first
			_, err := io.CopyN(io.Discard, file, int64(len(clientHello)))
			if err == nil {
				_, err = file.WriteString(hello)
			}
			if err == nil {
				_, err = io.ReadFull(file, make([]byte, 8))
			}
			if err == nil {
				_, err = file.WriteString(frame(0, "an event") + frame(1, "\x010"))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}, rpc.FanOutConfig{RunLoop: true, Timeout: timeout})
	y := newTally(t)
	for r := range fan.Results() {
		y.add(r)
		if took := time.Since(given); r.Req.N == 1 && took < timeout {
			t.Errorf("the job was too late after %v", took)
		}
	}
	must(t, fan.Err())
	y.complete(2)
	if y.errs[1] != rpc.ErrDeadline || given.IsZero() {
		t.Errorf("the second job ended with %v", y.errs[1])
	}
}
