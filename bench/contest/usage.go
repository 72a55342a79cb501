package main

import (
	"fmt"
	"math"
	"time"
)

// A usage is the share of one processor that a process used or waited for.
type usage struct{ percent float64 }

func (u usage) String() string { return fmt.Sprintf("%.0f %% CPU", u.percent) }

// busy is far above timers and the garbage collector, also on a machine where
// every wake-up waits for a processor, and far below a busy loop.
func (u usage) busy() bool { return u.percent > 50 }

func (u usage) verdict() Verdict {
	if u.busy() {
		return bad(spins, "spins: %s", u)
	}
	return good("%s", u)
}

// usageWindows is how many times a usage is measured: a busy loop is there each
// time, and work that ends is not, so that the least counts.
const usageWindows = 5

// usage measures for a period. Windows in which somebody was held up say nothing, and
// are repeated, unless all are like that.
func (t *Trial) usage(p *Process, period time.Duration) (usage, error) {
	const tries = 10 * usageWindows
	whole, held := usage{math.Inf(1)}, usage{math.Inf(1)}
	for windows, try := 0, 0; windows < usageWindows && try < tries; try++ {
		percent, isWhole, err := usageOnce(p, period/usageWindows)
		switch {
		case err != nil:
			return usage{}, err
		case isWhole:
			windows++
			whole.percent = min(whole.percent, percent)
		default:
			held.percent = min(held.percent, percent)
		}
	}
	if math.IsInf(whole.percent, 1) {
		return held, nil
	}
	return whole, nil
}

// usageOnce measures for a window, which is whole if the server ran before it, and soon
// after it.
func usageOnce(p *Process, window time.Duration) (percent float64, whole bool, err error) {
	_, _ = p.ping()
	before, err := cpuDemand(p.cmd.Process.Pid)
	if err != nil {
		return 0, false, err
	}
	began := time.Now()
	time.Sleep(window)
	after, err := cpuDemand(p.cmd.Process.Pid)
	if err != nil {
		return 0, false, err
	}
	took := time.Since(began)
	percent = 100 * float64(after.since(before, took)) / float64(took)
	_, _ = p.ping()
	return percent, time.Since(began) < 2*window, nil
}

// demand is how long each thread of a process has wanted a processor.
type demand map[string]threadDemand

type threadDemand struct {
	so       time.Duration
	runnable bool // now
}

// since is what came on top of an earlier demand, so long ago. A thread that was
// runnable then and is now is taken for having been so all the time: the kernel counts
// what it waits for a processor only when it gets one, and that may take longer than a
// window.
func (d demand) since(earlier demand, ago time.Duration) (sum time.Duration) {
	for id, now := range d {
		then := earlier[id]
		grown := now.so - then.so
		if then.runnable && now.runnable {
			grown = max(grown, ago)
		}
		sum += grown
	}
	return sum
}
