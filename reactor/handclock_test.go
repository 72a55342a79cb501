package reactor_test

import (
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
)

// handClock is a clock that stands still until the test moves it, so that a
// deadline can be met to the nanosecond.
type handClock struct{ now time.Duration }

func (c *handClock) Monotonic() time.Duration { return c.now }
func (c *handClock) Wall() time.Time          { return time.Unix(0, 0).Add(c.now) }

// newHandLoop makes a loop whose time the test moves. It is polled, not run: it
// would wait in real time for what never comes.
func newHandLoop(t testing.TB) (*reactor.Loop, *handClock) {
	t.Helper()
	clock := &handClock{}
	return newLoopWith(t, reactor.Config{Clock: clock}), clock
}
