package reactor_test

import (
	"slices"
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
	ticker := loop.Every(3*time.Millisecond, 3*time.Millisecond, func() {})
	for range 4 {
		must(t, loop.Poll(-1))
	}
	const tick = 3 * time.Millisecond
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

// TestLoopKeepsItsProcessorForASlice at most, and lends it in the wait after one in which nothing has come.
func TestLoopKeepsItsProcessorForASlice(t *testing.T) {
	loop, record, _ := newKeeping(t)
	ticker := loop.Every(time.Millisecond, time.Millisecond, func() {})
	must(t, loop.Poll(-1))
	ticker.Stop()
	rang := false
	loop.AfterFunc(time.Second, func() { rang = true })
	for range 2 {
		must(t, loop.Poll(-1))
	}
	if !slices.Equal(record.kept, []time.Duration{yield.Slice}) {
		t.Errorf("kept it for %v, want %v", record.kept, yield.Slice)
	}
	if lent := blocked(record.timeouts); !slices.Equal(lent, []time.Duration{time.Millisecond, time.Second - yield.Slice}) {
		t.Errorf("lent it for %v, want a millisecond, and the rest of the second", lent)
	}
	if !rang {
		t.Error("the timer did not fire")
	}
}
