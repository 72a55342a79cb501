package rpc

import (
	"sync/atomic"
	"time"
)

const (
	// cheapCall is the mean duration of a handler below which holding its reply
	// back, to send it with others, costs the caller less than a write(2) does.
	cheapCall = 10 * time.Microsecond

	// paceWeight is the share of a sample in the mean: 1/8.
	paceWeight = 8
)

// pace decides whether an inline server batches its replies: while handlers are
// cheap on the average. A slow job after cheap ones can hold back at most the
// replies of its own read batch.
type pace struct {
	base    time.Time
	mean    time.Duration
	started time.Duration
	flushes bool         // ServerConfig.FlushEach: never batch
	writes  *writingTime // does not count: it is the parent's pace; nil: there is none
}

// newPace begins without batching, until the first few calls have been cheap.
func newPace(flushEach bool, writes *writingTime) pace {
	return pace{base: time.Now(), mean: 2 * cheapCall, flushes: flushEach, writes: writes}
}

// batching reports whether replies may wait for the end of the read batch.
func (p *pace) batching() bool { return !p.flushes && p.mean < cheapCall }

// doubtful reports whether replies do not wait, and may once handlers are cheap.
func (p *pace) doubtful() bool { return !p.flushes && p.mean >= cheapCall }

// start begins the measurement of one or several calls.
func (p *pace) start() { p.started = p.handling() }

// stop ends it, for n calls.
func (p *pace) stop(n int) {
	if n > 0 {
		p.take((p.handling() - p.started) / time.Duration(n))
	}
}

// handling is the time since the server's begin that did not go to writes.
func (p *pace) handling() time.Duration { return time.Since(p.base) - p.writes.total() }

// take takes a sample into the mean.
func (p *pace) take(sample time.Duration) { p.mean += (sample - p.mean) / paceWeight }

// writingTime is how long writes of replies have taken, those that had to wait for the
// parent to read included.
type writingTime struct{ ns atomic.Int64 }

func (w *writingTime) total() time.Duration {
	if w == nil {
		return 0
	}
	return time.Duration(w.ns.Load())
}

// since adds a write that began at start and has ended now.
func (w *writingTime) since(start time.Time) { w.ns.Add(int64(time.Since(start))) }
