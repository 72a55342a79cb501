package rpc_test

import (
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// The process is stopped for some seconds between two readings of its clocks: what
// travelled as a deadline was earlier, or later, by so much ever after.
func TestClocksAreRelatedAlsoByAProcessThatIsStopped(t *testing.T) {
	const truth, read, stopped = int64(1e15), 100 * time.Nanosecond, 3 * time.Second
	for after := range 8 { // so many readings it is stopped
		now, readings := time.Duration(0), 0
		tick := func() time.Duration {
			now += read
			if readings++; readings == after {
				defer func() { now += stopped }()
			}
			return now
		}
		clock, slack := rpc.RelateClocks(tick, func() int64 { return truth + int64(tick()) })
		if clock < truth || clock-int64(slack) > truth || slack > time.Microsecond {
			t.Errorf("stopped after %d readings: %d ns off, with a slack of %v", after, clock-truth, slack)
		}
	}
	if clock, _ := rpc.RelateClocks(func() time.Duration { return time.Hour }, func() int64 { return 0 }); clock != 0 {
		t.Errorf("without a common clock: %d", clock)
	}
}

// A clock that takes long to be read leaves slack, but no error.
func TestClocksAreRelatedAlsoIfReadingTakesLong(t *testing.T) {
	const truth = int64(1e15)
	now, readings := time.Duration(0), 0
	tick := func() time.Duration {
		readings++
		now += time.Duration(1+readings%5) * time.Millisecond
		return now
	}
	clock, slack := rpc.RelateClocks(tick, func() int64 { return truth + int64(tick()) })
	if clock < truth || clock-int64(slack) > truth || slack > 10*time.Millisecond {
		t.Errorf("%d ns off, with a slack of %v", clock-truth, slack)
	}
}
