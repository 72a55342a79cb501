package reactor

import (
	"math"
	"math/bits"
	"time"
)

// A Histogram counts durations by powers of two: bucket 0 counts those below a
// microsecond, bucket i those from 2^(i-1) to below 2^i microseconds, and the last
// bucket, from about 18 minutes, everything beyond.
type Histogram [32]uint64

// add counts a duration in nanoseconds.
func (h *Histogram) add(ns int64) {
	h[min(bits.Len64(uint64(max(ns, 0))/1000), len(h)-1)]++
}

// Count is how many durations were counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns a bound that at least the fraction q of the durations, from 0 to
// 1, is below, exact to a factor of two unless it is the last bucket's; zero if none
// were counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.Count())))
	var seen uint64
	for i, c := range h {
		if seen += c; seen > 0 && seen >= rank {
			return time.Microsecond << i
		}
	}
	return 0
}
