package rpc

import "time"

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
	flushes bool // ServerConfig.FlushEach: never batch
}

// newPace begins without batching, until the first few calls have been cheap.
func newPace(flushEach bool) pace {
	return pace{base: time.Now(), mean: 2 * cheapCall, flushes: flushEach}
}

// batching reports whether replies may wait for the end of the read batch.
func (p *pace) batching() bool { return !p.flushes && p.mean < cheapCall }

// start begins the measurement of one or several calls.
func (p *pace) start() { p.started = time.Since(p.base) }

// stop ends it, for n calls.
func (p *pace) stop(n int) {
	if n > 0 {
		p.take((time.Since(p.base) - p.started) / time.Duration(n))
	}
}

// take takes a sample into the mean.
func (p *pace) take(sample time.Duration) { p.mean += (sample - p.mean) / paceWeight }
