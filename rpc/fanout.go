package rpc

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/evfork/evfork/reactor"
)

// FanOutConfig configures a FanOut. The zero value is useful.
type FanOutConfig struct {
	// Window is how many calls are in flight to each client. 0: 16. With 1 or 2 long
	// jobs are spread evenly; short ones want more, so that workers do not wait
	// for their next.
	Window int
	// StopOnError ends the taking of jobs at the first result with an error. Jobs
	// that have been taken are finished.
	StopOnError bool
	// RunLoop has Results run the clients' loop on its own goroutine, which must
	// be the loop's. false: the loop is run elsewhere, and Results is called on
	// another goroutine.
	RunLoop bool
}

const defaultWindow = 16

// Errors of a FanOut.
var (
	// ErrNoWorkers: no client is left that takes calls. The error that says it
	// wraps why the last one is gone, too.
	ErrNoWorkers = errors.New("rpc: no worker is left")
	// ErrFanOut: the clients are none, or not all on the same loop, or Results was
	// called a second time.
	ErrFanOut = errors.New("rpc: bad fan-out")
)

// A Result is how one job ended.
type Result[Req, Resp any] struct {
	Req  Req // the job
	Resp Resp
	// Err is the end of the job's call if that was not a reply: what a Call would
	// have returned. A *LostError is always one whose call may have been started;
	// ErrNoWorkers is that of a job that was not.
	Err error
	// Client is who had the job; nil if nobody had.
	Client *Client
}

// A FanOut has jobs done by several children: each is one call of a method, given
// to whichever client has room, and results come in the order of completion.
//
//	fan := Resize.FanOut(ctx, clients, jobs, rpc.FanOutConfig{})
//	for r := range fan.Results() {
//		…
//	}
//	err := fan.Err()
//
// Jobs are taken from their sequence while there is room for them, so that it may
// be of any length: the calls in flight and the results that wait to be taken are
// together never more than Window for each client. The sequence runs on a
// goroutine of its own, so that results come while it waits for its next job.
//
// Every job that was taken has exactly one result, unless Results is left early.
// A job whose child died is given to another client if it has certainly not been
// started (LostError.Started), and else reported. A client that is gone gets no
// more jobs; the others go on.
type FanOut[Req, Resp any] struct {
	ctx    context.Context
	method *Method[Req, Resp]
	jobs   iter.Seq[Req]
	config FanOutConfig
	loop   *reactor.Loop
	take   func() // takeJobs as a func, made once

	// The loop's own; see fanout_dispatch.go.
	ring  *fanWorker // of the workers that have room, the next one; nil: none has
	live  int        // workers that are not gone
	queue jobList[Req, Resp]
	gone  error // of the last client that went

	over atomic.Bool // Results has ended: nobody wants to know

	mu        sync.Mutex
	begun     bool
	submitted jobList[Req, Resp] // by the feeder, for the loop
	posted    bool               // takeJobs is on its way
	results   []*fanJob[Req, Resp]
	taken     []*fanJob[Req, Resp] // results that are being looked at; the other half of the double buffer
	free      []*fanJob[Req, Resp]
	all       []*fanJob[Req, Resp] // every record there is
	open      int                  // jobs without a result, and results that nobody has taken
	capacity  int                  // how many may be open
	stopping  bool                 // no more jobs are wanted
	fed       bool                 // no more jobs will come
	panicked  any                  // what the sequence panicked with
	err       error

	room  chan struct{} // the feeder may look again; of capacity 1
	ready chan struct{} // Results may look again; of capacity 1
}

// fanJob is one job on its way. Records are used again.
type fanJob[Req, Resp any] struct {
	fan     *FanOut[Req, Resp]
	worker  *fanWorker
	next    *fanJob[Req, Resp] // in a jobList
	request []byte
	req     Req
	reply   Payload
	err     error
	open    bool // it has no result yet; guarded by fan.mu
	stale   bool // its call may still end although it has a result: not used again
}

// FanOut has the method called for each of jobs; nothing happens before Results
// is ranged over. The clients are on the same loop, and may have other calls. When
// ctx is done no more jobs are taken, and those without a result are abandoned: they
// are reported with ctx.Err(), and their children go on with them. To finish what
// was begun instead, end the sequence.
func (m *Method[Req, Resp]) FanOut(ctx context.Context, clients []*Client, jobs iter.Seq[Req], config FanOutConfig) *FanOut[Req, Resp] {
	if config.Window <= 0 {
		config.Window = defaultWindow
	}
	f := &FanOut[Req, Resp]{
		ctx: ctx, method: m, jobs: jobs, config: config,
		room: make(chan struct{}, 1), ready: make(chan struct{}, 1),
	}
	f.take = f.takeJobs
	for _, c := range clients {
		if f.loop == nil {
			f.loop = c.loop
		}
		if c.loop != f.loop {
			f.err = ErrFanOut
		}
		f.addWorker(c)
	}
	if f.live == 0 {
		f.err = ErrFanOut
	}
	return f
}

// Err is why not all jobs have been done, after Results has ended: ctx.Err(), an
// ErrNoWorkers, the first error with StopOnError, ErrClosed if the loop has ended;
// ErrFanOut for a misuse. It is nil if every job of the sequence has been given
// to a child, however that ended, and after Results was left early.
func (f *FanOut[Req, Resp]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Results does the jobs and yields their results; it can be ranged over once. It
// is for any goroutine but the loop's, and with RunLoop for the loop's only.
//
// When it is left early, by break, calls in flight are abandoned. The sequence of
// jobs is told to stop when it yields its next; it has ended before Results
// does, unless Results was stopped by ctx, an error, or break. What the sequence
// panics with, Results panics with, after the results of the jobs before.
func (f *FanOut[Req, Resp]) Results() iter.Seq[Result[Req, Resp]] {
	return func(yield func(Result[Req, Resp]) bool) {
		if !f.begin() {
			return
		}
		defer f.loop.Hold()()
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
		f.err = ErrFanOut
	}
	if f.err != nil {
		return false
	}
	f.begun = true
	return true
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
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.results) > 0 || f.overLocked()
}

// overLocked reports that every job that was taken has had its result taken, and
// that there will be no other.
func (f *FanOut[Req, Resp]) overLocked() bool { return f.open == 0 && (f.fed || f.stopping) }

// stop takes no more jobs, because of err.
func (f *FanOut[Req, Resp]) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopLocked(err)
}

func (f *FanOut[Req, Resp]) stopLocked(err error) {
	f.stopping = true
	if f.err == nil {
		f.err = err
	}
	signal(f.room)
}

// abandon gives all jobs that have no result err as theirs.
func (f *FanOut[Req, Resp]) abandon(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopLocked(err)
	f.over.Store(true)
	for _, j := range f.all {
		if j.open {
			j.open, j.stale, j.err = false, true, err
			f.results = append(f.results, j)
		}
	}
}

// leave is the end of Results, however it came.
func (f *FanOut[Req, Resp]) leave() {
	f.mu.Lock()
	f.stopping = true
	f.over.Store(true)
	panicked := f.panicked
	f.mu.Unlock()
	signal(f.room)
	if panicked != nil {
		panic(panicked)
	}
}

// signal lets one side look again, and reports whether it did not know yet.
func signal(to chan struct{}) bool {
	select {
	case to <- struct{}{}:
		return true
	default:
		return false
	}
}
