package reactor_test

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/yield"
	"github.com/evfork/evfork/reactor"
)

// keepingRecorder is a recordingPoller that can keep the processor, too.
type keepingRecorder struct {
	*recordingPoller
	kept []time.Duration
}

func (p *keepingRecorder) WaitKeeping(timeout time.Duration) ([]reactor.PollerEvent, error) {
	p.kept = append(p.kept, timeout)
	return p.Poller.Wait(timeout)
}

// newKeeping is a loop with such a poller that judges rounds as a single goroutine would, and what rounds it has judged.
func newKeeping(t *testing.T) (*reactor.Loop, *keepingRecorder, *[]time.Duration) {
	t.Helper()
	_, record := newRecorded(t)
	keeper := &keepingRecorder{recordingPoller: record}
	loop := newLoopWith(t, reactor.Config{Clock: record.clock, Poller: keeper})
	rounds := new([]time.Duration)
	loop.SetKeeps(func(round time.Duration, _ int) bool {
		*rounds = append(*rounds, round)
		return round >= time.Millisecond && round < yield.Slice
	})
	return loop, keeper, rounds
}

// blocked is the waits of a record that could block.
func blocked(timeouts []time.Duration) []time.Duration {
	return slices.DeleteFunc(slices.Clone(timeouts), func(d time.Duration) bool { return d == 0 })
}

// TestLoopKeepsItsProcessorByItsRounds: from one wait's end to the next one's.
func TestLoopKeepsItsProcessorByItsRounds(t *testing.T) {
	loop, record, rounds := newKeeping(t)
	const tick = 2 * time.Millisecond
	ticker := loop.Every(tick, tick, func() {})
	for range 4 {
		must(t, loop.Poll(-1))
	}
	if !slices.Equal((*rounds)[1:], []time.Duration{tick, tick, tick}) {
		t.Errorf("judged rounds of %v, want three of %v after the first", *rounds, tick)
	}
	if !slices.Equal(record.kept, []time.Duration{tick, tick, tick}) {
		t.Errorf("kept it for %v, want three times %v", record.kept, tick)
	}
	if lent := blocked(record.timeouts); !slices.Equal(lent, []time.Duration{tick}) {
		t.Errorf("lent it for %v, want %v once", lent, tick)
	}
	ticker.Stop()
}

// TestLoopKeepsItsProcessorForASlice at most, in one wait or several, and lends it in the wait after one in which nothing has come.
func TestLoopKeepsItsProcessorForASlice(t *testing.T) {
	loop, record, _ := newKeeping(t)
	ticker := loop.Every(time.Millisecond, time.Millisecond, func() {})
	must(t, loop.Poll(-1))
	ticker.Stop()
	rang := false
	loop.AfterFunc(time.Second, func() { rang = true })
	for range 3 {
		must(t, loop.Poll(-1))
	}
	rest := yield.Slice - time.Millisecond
	if !slices.Equal(record.kept, []time.Duration{rest, yield.Slice}) {
		t.Errorf("kept it for %v, want %v and %v", record.kept, rest, yield.Slice)
	}
	if lent := blocked(record.timeouts); !slices.Equal(lent, []time.Duration{time.Millisecond, time.Second - rest - yield.Slice}) {
		t.Errorf("lent it for %v, want a millisecond, and the rest of the second", lent)
	}
	if !rang {
		t.Error("the timer did not fire")
	}
}

// TestLoopThatKeepsItsProcessorLetsOthersRun: between two short waits it did not, so that who was started by a timer of package time, or
// that timer, waited for the runtime's monitor: for 10 to 20 ms.
func TestLoopThatKeepsItsProcessorLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	loop, record, _ := newKeeping(t)
	const tick = 3 * time.Millisecond
	ticker := loop.Every(tick, tick, func() {})
	defer ticker.Stop()
	const times = 10
	late := 0
	for range times {
		var ran atomic.Bool
		go ran.Store(true)
		for kept := len(record.kept); record.kept == nil || sum(record.kept[kept:]) <= yield.Slice; {
			must(t, loop.Poll(-1))
		}
		if !ran.Load() {
			late++
		}
		for !ran.Load() {
			runtime.Gosched()
		}
	}
	if late > times/2 { // now and then the scheduler prefers the goroutine that yields: see yield.ToOthers
		t.Errorf("%d of %d times another goroutine did not run in a slice", late, times)
	}
}

func sum(all []time.Duration) (d time.Duration) {
	for _, one := range all {
		d += one
	}
	return d
}
