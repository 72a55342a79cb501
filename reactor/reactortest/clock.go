package reactortest

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/evfork/evfork/reactor"
)

// A Clock is a reactor.Clock that stands still until it is moved. All methods are
// goroutine-safe. Make one with NewClock.
type Clock struct {
	mu        sync.Mutex
	monotonic time.Duration
	wall      time.Time
	plans     []plan // in the order in which they are carried out
}

var _ reactor.Clock = (*Clock)(nil)

type plan struct {
	at time.Duration
	fn func()
}

// NewClock returns a clock on which it is midnight, 1 January 2000 UTC.
func NewClock() *Clock {
	return &Clock{wall: time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)}
}

// Monotonic is how far the clock has been moved since it was made.
func (c *Clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.monotonic
}

// Wall is the time of day.
func (c *Clock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// SetWall makes the time of day jump. Monotonic does not change.
func (c *Clock) SetWall(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = t.Round(0) // without the machine's monotonic reading, if it has one
}

// Advance moves the clock forward and does what was planned for the time in
// between. In a callback it is how long the callback takes. A d of zero or less
// does only what is due.
func (c *Clock) Advance(d time.Duration) {
	for target := later(c.Monotonic(), d); c.step(target); {
	}
}

// After plans fn for when the clock has been moved by d: something that happens in
// the world outside, while the loop waits or the test calls Advance. Plans for the
// same time are carried out in the order in which they were made; a d of zero or
// less is the present, but After does not call fn itself: fn runs inside the
// loop's wait, which ends with it, or inside Advance.
func (c *Clock) After(d time.Duration, fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := plan{later(c.monotonic, d), fn}
	i := len(c.plans)
	for i > 0 && c.plans[i-1].at > p.at {
		i--
	}
	c.plans = slices.Insert(c.plans, i, p)
}

// step moves the clock to the first plan and carries it out, if there is one until
// target; else it moves the clock to target. It reports whether there was one.
func (c *Clock) step(target time.Duration) bool { return carryOut(c.take(target, true)) }

// stepToPlan moves the clock to the first plan and carries it out. Without any, it
// does nothing and reports false.
func (c *Clock) stepToPlan() bool { return carryOut(c.take(math.MaxInt64, false)) }

func carryOut(plan func()) bool {
	if plan == nil {
		return false
	}
	plan()
	return true
}

// take moves the clock to the first plan until target and returns what it is; nil
// if there is none: then the clock is moved to target, if at all.
func (c *Clock) take(target time.Duration, move bool) (next func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) == 0 || c.plans[0].at > target {
		if move {
			c.moveLocked(target)
		}
		return nil
	}
	first := c.plans[0]
	c.plans = slices.Delete(c.plans, 0, 1)
	c.moveLocked(first.at)
	return first.fn
}

// moveLocked never moves back: a plan may have moved the clock beyond what
// another goroutine, or the plan's own caller, is heading for.
func (c *Clock) moveLocked(to time.Duration) {
	if d := to - c.monotonic; d > 0 {
		c.monotonic = to
		c.wall = c.wall.Add(d)
	}
}

// later is d after now; the end of time if that is too late for a Duration.
func later(now, d time.Duration) time.Duration {
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + max(d, 0)
}
