package rpc

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Results does the jobs and yields their results; it can be ranged over once. It
// is for any goroutine but the loop's, and with RunLoop for the loop's only.
//
// When it is left early, by break, calls in flight are cancelled; they count in
// Client.InFlight until the children have answered them. With RunLoop the children
// have been told when Results returns, else the loop tells them. The sequence of
// jobs is told to stop when it yields its next, which is dropped, or while the yield of one
// that was taken waits for room for another: whether the last had been taken, its result
// tells and not what yield returns. The sequence has ended before Results does, unless
// Results was stopped by ctx, an error, or break. What it panics with, Results panics
// with, after the results of the jobs before.
func (f *FanOut[Req, Resp]) Results() iter.Seq[Result[Req, Resp]] {
	return func(yield func(Result[Req, Resp]) bool) {
		if !f.begin() {
			return
		}
		defer f.loop.Hold()()
		if f.hasNobody() {
			return
		}
		defer f.leave()
		go f.feed()
		for f.yieldResults(yield) {
			if err := f.wait(); err != nil {
				f.abandon(err)
			}
		}
	}
}

func (f *FanOut[Req, Resp]) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun && f.err == nil {
		f.err = fmt.Errorf("%w: Results a second time", ErrFanOut)
	}
	if f.err != nil {
		return false
	}
	f.begun = true
	return true
}

// hasNobody reports whether all clients have ended, and has no more jobs taken then. Of one that had nothing to do the dispatching
// would hear with its next job, which there may not be. And the loop may not be run any more, if all had ended before.
func (f *FanOut[Req, Resp]) hasNobody() bool {
	for ; f.ended < len(f.team); f.ended++ {
		select {
		case <-f.team[f.ended].client.ended:
		default:
			return false
		}
	}
	if f.loopEnds() {
		return false // that is why
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.fed {
		f.stopLocked(fmt.Errorf("%w: %w", ErrNoWorkers, f.team[f.ended-1].client.endErr))
	}
	return true
}

// loopEnds reports whether the loop has ended, or a client by its end. Then there are no workers for that reason.
func (f *FanOut[Req, Resp]) loopEnds() bool {
	select {
	case <-f.loop.Done():
		return true
	default:
		return slices.ContainsFunc(f.team, func(w *fanWorker) bool { return errors.Is(w.client.endErr, ErrClosed) })
	}
}

// nextEnd is closed when a client has ended that had not; nil if there is none.
func (f *FanOut[Req, Resp]) nextEnd() <-chan struct{} {
	if f.ended == len(f.team) {
		return nil
	}
	return f.team[f.ended].client.ended
}

// yieldResults yields what there is, and returns false when nothing more can come
// or is wanted.
func (f *FanOut[Req, Resp]) yieldResults(yield func(Result[Req, Resp]) bool) bool {
	results, over := f.takeResults()
	for _, j := range results {
		r := Result[Req, Resp]{Req: j.req}
		if !j.stale && j.worker != nil {
			r.Client = j.worker.client
		}
		r.Resp, r.Err = f.method.outcome(j.reply, j.err)
		if r.Err != nil && f.config.StopOnError {
			f.stop(r.Err)
		}
		if !yield(r) {
			return false
		}
	}
	return !over
}

// takeResults takes all results that have come. The ones taken before have been
// looked at, and their records are free. over means that there will be no more.
func (f *FanOut[Req, Resp]) takeResults() (results []*fanJob[Req, Resp], over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.taken {
		if !j.stale {
			zero(&j.req)
			j.reply, j.err, j.worker = nil, nil, nil
			f.free = append(f.free, j)
		}
	}
	results = f.results
	f.results, f.taken = f.taken[:0], results
	f.open -= len(results)
	if len(results) > 0 && signal(f.room) && f.config.RunLoop {
		f.loop.Yielding()
	}
	return results, len(results) == 0 && f.overLocked()
}

// wait waits until there is something to see for takeResults. An error is why
// there will not be.
func (f *FanOut[Req, Resp]) wait() error {
	if err := f.ctx.Err(); err != nil {
		return err // even if results keep coming
	}
	if f.anything() {
		return nil
	}
	if f.config.RunLoop {
		err := f.loop.RunUntil(f.ctx, f.anything)
		if err == nil && !f.anything() {
			err = errFanStopped
		}
		return err
	}
	select {
	case <-f.ready:
		return nil
	case <-f.nextEnd():
		return nil
	case <-f.ctx.Done():
		return f.ctx.Err()
	case <-f.loop.Done():
	}
	if f.anything() {
		return nil
	}
	return ErrClosed
}

var errFanStopped = errors.New("rpc: the loop was stopped before all jobs were done")

func (f *FanOut[Req, Resp]) anything() bool {
	f.hasNobody()
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.results) > 0 || f.overLocked()
}

// overLocked reports that every job that was taken has had its result taken, and
// that there will be no other.
func (f *FanOut[Req, Resp]) overLocked() bool { return f.open == 0 && (f.fed || f.stopping) }
