package rpc

import (
	"math"
	"time"

	"github.com/evfork/evfork/reactor"
)

// timebase relates times of this process to the monotonic clock that it may
// share with the other side.
type timebase struct {
	start  time.Time
	clock  int64         // monotonic at start, at the latest; 0: no common clock
	slack  time.Duration // how much earlier it may have been
	shared bool          // the other side reads the same clock
}

// newTimebase begins at start, which is the loop's Now or the time itself.
// A start without a monotonic reading is of a clock that is not the machine's.
func newTimebase(start time.Time) timebase {
	b := timebase{start: start}
	if start != start.Round(0) {
		b.clock, b.slack = relateClocks(func() time.Duration { return time.Since(start) }, monotonic)
	}
	return b
}

// relateClocks returns what monotonic reads when since is 0: a value from clock-slack
// to clock. The two cannot be read at once, and between the readings this process may have been
// stopped for long.
func relateClocks(since func() time.Duration, monotonic func() int64) (clock int64, slack time.Duration) {
	const tries, close = 10, 2 * time.Microsecond
	for try := range tries {
		before, now := since(), monotonic()
		if now == 0 {
			return 0, 0
		}
		width := since() - before
		if try == 0 || width < slack {
			clock, slack = now-int64(before), width
		}
		if slack <= close {
			break
		}
	}
	return clock, slack
}

// now is the time that deadlines are measured by, on the loop whose Now was given. That may be old, so a clock is read: the machine's,
// if that is the loop's. Another can be read by the loop only, whose Now that is then.
func (b *timebase) now(loop *reactor.Loop) time.Time {
	if b.start != b.start.Round(0) {
		return time.Now()
	}
	return loop.UpdateNow()
}

// distant is as far from start as times are told apart, 146 years: no sum or difference of two, nor of
// one and a clock, overflows.
const distant = time.Duration(math.MaxInt64 / 2)

// at is the time since start.
func (b *timebase) at(t time.Time) time.Duration {
	return min(max(t.Sub(b.start), -distant), distant)
}

// absolute is the common clock at a time since start, at the latest: a deadline
// is never early. 0 without a common clock.
func (b *timebase) absolute(at time.Duration) int64 {
	if b.clock == 0 {
		return 0
	}
	return b.clock + int64(at)
}

// deadline is when a call ends of which the other side has said m.
func (b *timebase) deadline(m *metadata) time.Time {
	if b.shared && m.absolute != 0 {
		return b.start.Add(time.Duration(m.absolute-b.clock) + b.slack)
	}
	return time.Now().Add(m.left)
}
