package reactor

import (
	"fmt"
	"time"

	"github.com/evfork/evfork/internal/callback"
)

const (
	// jumpInterval is how often wall-clock watchers are computed anew where
	// nothing tells that the clock was set. They may be late by that much then.
	jumpInterval = 30 * time.Second

	// jumpTolerance is by how much two differences of the clocks may differ
	// without a jump: they cannot be read at the same moment, and one may be
	// slewed against the other.
	jumpTolerance = 50 * time.Millisecond
)

// wallClock is what a loop has for its wall-clock watchers. While there are any,
// something looks out for jumps of the clock: the kernel's notice, or a ticker.
type wallClock struct {
	active []*Periodic // in no order
	drift  int64       // wall clock minus the loop's, in ns, when last looked at
	notice jumpNotice
	ticker *Timer
}

// wallTime reads the wall clock, without the monotonic reading that would win
// in comparisons.
func (l *Loop) wallTime() time.Time { return l.wall().Round(0) }

func (l *Loop) wallDrift() int64 { return l.wall().UnixNano() - l.clock() }

func (c *wallClock) add(p *Periodic) {
	p.place = len(c.active)
	c.active = append(c.active, p)
	if p.place == 0 {
		c.lookOut(p.loop)
	}
}

func (c *wallClock) remove(p *Periodic) {
	if p.place < 0 {
		return
	}
	last := len(c.active) - 1
	c.active[p.place] = c.active[last]
	c.active[p.place].place = p.place
	c.active[last] = nil
	c.active = c.active[:last]
	p.place = -1
	if last == 0 {
		c.lookAway()
	}
}

// lookOut begins to look for jumps. The kernel knows nothing of a clock that was
// injected.
func (c *wallClock) lookOut(l *Loop) {
	c.drift = l.wallDrift()
	if l.source == nil && c.notice.open(l) {
		return
	}
	c.tick(l)
}

func (c *wallClock) tick(l *Loop) {
	c.ticker = l.Every(jumpInterval, jumpInterval, l.wallJumped)
	c.ticker.level = ownLevel
	c.ticker.Unref()
}

func (c *wallClock) lookAway() {
	c.notice.close()
	if c.ticker != nil {
		c.ticker.Stop()
		c.ticker = nil
	}
}

// findJump compares the clocks, which costs two readings.
func (l *Loop) findJump() {
	if d := l.wallDrift() - l.walls.drift; d >= int64(jumpTolerance) || d <= -int64(jumpTolerance) {
		l.wallJumped()
	}
}

// wallJumped computes all wall-clock watchers anew. It is called whenever the wall
// clock has moved against the loop's, or may have.
func (l *Loop) wallJumped() {
	c := &l.walls
	c.drift = l.wallDrift()
	now := l.wallTime()
	callback.ToTheEnd(func() { // a schedule that panics is over, and takes itself out
		for i := len(c.active) - 1; i >= 0; i-- { // from the end: so does one that has no more times
			if i < len(c.active) {
				c.active[i].reschedule(now)
			}
		}
	})
}

func (l *Loop) verifyWalls(*int) error {
	c := &l.walls
	for i, p := range c.active {
		if p.place != i || !p.active {
			return fmt.Errorf("reactor: wall-clock watcher %d believes to be %d, active %v", i, p.place, p.active)
		}
	}
	looking := c.notice.active() || c.ticker != nil && c.ticker.active
	if want := len(c.active) > 0; looking != want {
		return fmt.Errorf("reactor: %d wall-clock watchers, looking for jumps %v", len(c.active), looking)
	}
	return nil
}

// releaseWalls stops what is left when the loop is released.
func (l *Loop) releaseWalls() {
	for len(l.walls.active) > 0 {
		l.walls.active[0].Stop()
	}
}
