package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/reactor"
)

// FanOutConfig configures a FanOut. The zero value is useful.
type FanOutConfig struct {
	// Window is how many calls are in flight to each client. 0: 16. With 1 or 2 long
	// jobs are spread evenly, and few are lost with a child. Short ones want more, so that workers do not wait
	// for their next: those of a microsecond take half the time with 128 (docs/performance.md, "Fan-outs").
	Window int
	// Timeout limits how long the call of a job may take, from when it is given to a child,
	// the wait there for those before it included: after it the job's result is
	// ErrDeadline, and the child is told, as with Client.GoWith. The child is given other
	// jobs even if it has not answered; Config.AbandonTimeout gets rid of one that hangs.
	// 0: no limit.
	Timeout time.Duration
	// StopOnError ends the taking of jobs at the first result with an error. Jobs
	// that have been taken are finished. What the sequence yields then is not taken.
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
	// have returned, or ctx's error if that ended first. ErrNoWorkers
	// is that of a job that was not started; look for it first, because it wraps the end of the last
	// worker. Any other *LostError is of a call that may have been started.
	Err error
	// Client is who had the job; nil if nobody had, or if the job's call had not ended when ctx or the loop did.
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
// be of any length: the calls in flight and the results that Results has not taken are
// together never more than Window for each client. It takes those that have come together, as many again at most, and
// yields one by one. The sequence runs on a
// goroutine of its own, so that results come while it waits for its next job.
//
// Every job that was taken has exactly one result, unless Results is left early.
// A job whose child died is given to another client if it has certainly not been
// started (LostError.Started), and else reported. A client that is gone gets no
// more jobs; the others go on.
//
// Whatever ends Results before every job has a result (ctx, break, a panic, the end of
// the loop) cancels the calls in flight, as Client.Cancel does, so that the children
// hear of it.
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
	team  []*fanWorker
	queue jobList[Req, Resp]
	gone  error // of the last client that went

	ended int // so many of the team have ended, the first ones; Results' own

	over atomic.Bool // no result is wanted any more but those that there are

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
	left      bool                 // Results has ended
	err       error

	room  chan struct{} // the feeder may look again; of capacity 1
	ready chan struct{} // Results may look again; of capacity 1
}

// fanJob is one job on its way. Records are used again.
type fanJob[Req, Resp any] struct {
	fan     *FanOut[Req, Resp]
	worker  *fanWorker
	call    CallID             // while it is in flight; the loop's own
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
// ctx is done no more jobs are taken, those without a result are reported with
// ctx.Err(), and their calls are cancelled. To finish what was begun instead, end the
// sequence.
func (m *Method[Req, Resp]) FanOut(ctx context.Context, clients []*Client, jobs iter.Seq[Req], config FanOutConfig) *FanOut[Req, Resp] {
	if config.Window <= 0 {
		config.Window = defaultWindow
	}
	config.Window = min(config.Window, math.MaxInt/max(len(clients), 1)) // so that their sum is a number
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
			f.err = fmt.Errorf("%w: clients of different loops", ErrFanOut)
		}
		f.addWorker(c)
	}
	if f.live == 0 {
		f.err = fmt.Errorf("%w: no clients", ErrFanOut)
	}
	return f
}

// Err is why not all jobs have been done, after Results has ended: ctx.Err(), an
// ErrNoWorkers, the first error with StopOnError, ErrClosed if the loop has ended;
// ErrFanOut for a misuse, and if the sequence has ended its goroutine. It is nil if every job of the sequence has been given
// to a child, however that ended, and after Results was left early.
//
// If the sequence has not ended when the last worker goes, it is an ErrNoWorkers, also if the sequence would have yielded no
// other job: that is not waited for. Which jobs were not done, the results say.
func (f *FanOut[Req, Resp]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
