package main

import "time"

// A lap is what a piece of work took, in nanoseconds: CPU time of all threads of
// the process, which other programs hardly touch, and wall time. A loop that
// does not wait uses as much of one as of the other on an idle machine; what Go's
// garbage collector does beside it is in the CPU time alone.
type lap struct{ cpu, wall float64 }

func timeLap(work func() error) (lap, error) {
	cpuBegin, err := cpuTime()
	if err != nil {
		return lap{}, err
	}
	begin := time.Now()
	if err := work(); err != nil {
		return lap{}, err
	}
	wall := time.Since(begin)
	cpuEnd, err := cpuTime()
	return lap{float64(cpuEnd - cpuBegin), float64(wall)}, err
}

func (l lap) per(operations int) lap {
	return lap{l.cpu / float64(operations), l.wall / float64(operations)}
}

func (l lap) result() Result {
	return Result{Value: l.cpu, Extra: map[string]float64{"wall ns": l.wall}}
}
