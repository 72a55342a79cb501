package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// A measurement is what the clock and the parent's allocator say about a
// number of calls.
type measurement struct {
	calls     int
	elapsed   time.Duration
	allocated allocations
}

// allocations counts what a process has allocated.
type allocations struct{ mallocs, bytes uint64 }

// ownAllocations counts since the start of this process.
func ownAllocations() allocations {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return allocations{mallocs: m.Mallocs, bytes: m.TotalAlloc}
}

func (a allocations) since(earlier allocations) allocations {
	return allocations{a.mallocs - earlier.mallocs, a.bytes - earlier.bytes}
}

// measure runs a tenth of the calls to warm up (pages, pools, branch
// predictors), then all of them under the clock. run makes that many calls and
// returns when the last one has ended. Every contestant written in Go is
// measured by this function.
func measure(calls int, run func(calls int) error) (measurement, error) {
	if err := run(calls/10 + 1); err != nil {
		return measurement{}, fmt.Errorf("warming up: %w", err)
	}
	return measureWarm(calls, run)
}

func measureWarm(calls int, run func(calls int) error) (measurement, error) {
	runtime.GC() // the garbage of starting and warming up is nobody's fault
	before := ownAllocations()
	begin := time.Now()
	err := run(calls)
	elapsed := time.Since(begin)
	return measurement{calls: calls, elapsed: elapsed, allocated: ownAllocations().since(before)}, err
}

func (m measurement) callsPerSecond() float64 { return float64(m.calls) / m.elapsed.Seconds() }

func (m measurement) roundTripMicroseconds() float64 {
	return m.elapsed.Seconds() * 1e6 / float64(m.calls)
}

// throughput is the result of a scenario that counts calls per second.
func (m measurement) throughput() Result {
	return Result{Value: m.callsPerSecond(), Extra: m.parentExtra()}
}

// roundTrip is the result of a scenario that times one call.
func (m measurement) roundTrip() Result {
	return Result{Value: m.roundTripMicroseconds(), Extra: m.parentExtra()}
}

// bandwidth is the result of a scenario that counts bytes.
func (m measurement) bandwidth(size int) Result {
	return Result{Value: m.callsPerSecond() * megabytes(size), Extra: m.parentExtra()}
}

// megabytes is what a call of that many bytes carries, each way.
func megabytes(size int) float64 { return float64(size) / 1e6 }

func (m measurement) parentExtra() map[string]float64 {
	return map[string]float64{
		parentAllocs:    float64(m.allocated.mallocs) / float64(m.calls),
		"parent B/call": float64(m.allocated.bytes) / float64(m.calls),
	}
}

// measureAllocations is measure for the scenario that counts allocations on
// both sides. child asks the child what it has allocated since its start.
func measureAllocations(calls int, run func(calls int) error, child func() (allocations, error)) (Result, error) {
	if err := run(calls/10 + 1); err != nil {
		return Result{}, fmt.Errorf("warming up: %w", err)
	}
	before, err := child()
	if err != nil {
		return Result{}, fmt.Errorf("asking the child: %w", err)
	}
	m, err := measureWarm(calls, run)
	if err != nil {
		return Result{}, err
	}
	after, err := child()
	if err != nil {
		return Result{}, fmt.Errorf("asking the child: %w", err)
	}
	inChild := after.since(before)
	extra := m.parentExtra()
	extra["child allocs/call"] = float64(inChild.mallocs) / float64(calls)
	extra["child B/call"] = float64(inChild.bytes) / float64(calls)
	return Result{Value: extra[parentAllocs] + extra["child allocs/call"], Extra: extra}, nil
}

// inGoroutines makes the calls from that many goroutines at once. newCaller
// runs once per goroutine and returns the function that makes one call, so that
// each goroutine can own its buffers, as real callers do.
func inGoroutines(goroutines, calls int, newCaller func() func() error) error {
	var group sync.WaitGroup
	errs := make(chan error, goroutines)
	for i := range goroutines {
		share := calls / goroutines
		if i < calls%goroutines {
			share++
		}
		group.Go(func() {
			call := newCaller()
			for range share {
				if err := call(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs // the first one, or nil from the closed channel
}

// payload is what callers send; its pattern makes a shifted reply visible to echoCheck.
func payload(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = 'a' + byte(i%26)
	}
	return p
}
