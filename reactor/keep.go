package reactor

import (
	"time"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/yield"
)

// keeping is when a loop blocks without lending its processor: see yield.Keep.
type keeping struct {
	poller poller.KeepingPoller                    // nil: it always lends it
	round  time.Duration                           // between the last two readings of the clock that began a turn
	better func(round time.Duration, own int) bool // yield.Keep
}

func newKeeping(p Poller) keeping {
	k := keeping{better: yield.Keep}
	k.poller, _ = p.(poller.KeepingPoller)
	return k
}

// keeps reports whether the loop, which is about to block, had better keep its processor.
func (l *Loop) keeps() bool { return l.keeping.poller != nil && l.keeping.better(l.keeping.round, 1) }

// keepsFor is for how long: until it is to let others run again.
func (l *Loop) keepsFor() time.Duration {
	if !l.keeps() {
		return 0
	}
	return min(yield.Slice-time.Duration(l.now-l.yielded), yield.Slice)
}

// askKeeping asks the poller, for no longer than that. If nothing has come in a yield.Slice, that round is too long for the next
// wait to keep the processor again.
func (l *Loop) askKeeping(timeout, atMost time.Duration) ([]poller.Event, error) {
	if timeout < 0 || timeout > atMost {
		timeout = atMost
	}
	l.stats.Waits++
	events, err := l.keeping.poller.WaitKeeping(timeout)
	return events, opError("wait", -1, err)
}
