package reactor_test

import (
	"context"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// countingClock counts how often it is read.
type countingClock struct {
	handClock
	readings int
}

func (c *countingClock) Monotonic() time.Duration {
	c.readings++
	return c.handClock.Monotonic()
}

// TestBusyLoopReadsTheClockOnceAnIteration: when its wait has ended, which is the
// end of the iteration before, too. A timer that is not due does not cost another
// reading, since the loop does not have to know how long it might block.
func TestBusyLoopReadsTheClockOnceAnIteration(t *testing.T) {
	clock := &countingClock{}
	loop := newLoopWith(t, reactor.Config{Clock: clock})
	ready := 0
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	timer := loop.AfterFunc(time.Hour, func() {})
	pollTimes(t, loop, 1)
	clock.readings = 0
	const iterations = 10
	left := iterations
	must(t, loop.RunUntil(context.Background(), func() bool { left--; return left < 0 }))
	if ready != iterations+1 || clock.readings != iterations+1 { // and one when Run returns
		t.Errorf("%d readings in %d iterations, in which the descriptor was called %d times",
			clock.readings, iterations, ready-1)
	}
	timer.Stop()
}
