package reactor

import (
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/yield"
)

// readBufferSize is the loop's one shared read buffer: as much as a wide pipe
// holds, so that one read(2) empties it, and a page more, so that this read is a
// short one, and no other has to find that out.
const readBufferSize = widePipe + 4<<10

// Config configures a Loop. The zero value is useful.
type Config struct {
	// Backend is the mechanism that the loop waits with: "epoll" (Linux), "kqueue"
	// (macOS, the BSDs) or "poll" (any Unix; slow with many descriptors, and its
	// loops cannot be hosted, see FD). "": what the environment variable
	// EVFORK_BACKEND says, and else the first of these that the system has.
	Backend string
	// BusyPoll is how long an iteration polls without blocking before it
	// blocks. 0: not at all. It trades a processor for latency. Two loops that ask and answer one another, each with a CPU of its own
	// by its affinity, take a fifth of the time, and of CPU time, since nobody has to be woken. Where they share a CPU nobody
	// makes what is polled for: with one CPU it is taken as 0, and otherwise the kernel may put both on
	// one (docs/performance.md, "Busy polling").
	BusyPoll time.Duration

	// OnPanic is called, on the loop, with what a callback has panicked with; then
	// the stream that it came from, if any, is failed (see Panic), and the loop goes on. nil:
	// the panic leaves Run, and the loop has failed.
	OnPanic func(*Panic)

	// SlowThreshold is when a callback counts as slow. 0: never; otherwise every
	// callback costs two readings of the clock.
	SlowThreshold time.Duration
	// OnSlow is called, on the loop, after each slow callback. nil: they are only
	// counted (Stats.Slow).
	OnSlow func(SlowCallback)

	// Clock is where the loop has its time from. nil: the machine's clocks.
	Clock Clock
	// Poller is what the loop waits with; it becomes the loop's. nil: the
	// platform's. It is for tests: see package reactor/reactortest.
	Poller Poller
}

// A Poller is the contract between the loop and what it waits with. It can be
// replaced in tests; the rules are in the documentation of its methods.
type Poller = poller.Poller

// A PollerEvent says that a registered descriptor became ready.
type PollerEvent = poller.Event

// A Loop waits for descriptors, timers, processes and posted functions, and
// calls back. See the package documentation for its iteration and its rules.
//
// All methods belong to the loop's goroutine (the one inside Run, RunParked,
// RunUntil or Poll; outside of these, the one that created it), except those
// documented as goroutine-safe.
type Loop struct {
	poller  poller.Poller // nil: released
	backend string        // the poller's name
	config  Config
	timebase

	slots    []slot // by descriptor
	timers   timerHeap
	hooks    hooks
	pending  pendingSet
	posts    postQueue
	streams  streamList
	walls    wallClock
	signals  signalSources
	asyncs   asyncSet
	paths    pathSet
	observer *observer // nil: nobody wants to know of panics and slow callbacks

	parking *parking   // inside RunParked
	hosted  []*Hosting // loops that run inside this one

	dirty    []*Stream // have bytes to write, or a write side to finish
	deferred []*Stream // owe a callback that must not run where it was caused

	readBuf []byte // lent to OnData; nil while lent
	chunks  chunkCache
	refs    int // active referenced watchers
	holds   atomic.Int64
	running atomic.Bool // inside Run, Poll, RunUntil, Close or Shutdown
	stopped atomic.Bool // Stop was called and not yet honoured
	woken   uint        // how often Yielding was called since goroutines last had a chance to run
	vain    uint        // waits in succession before which the poller had nothing, as far as it was asked
	slices  bool        // it yields once a yield.Slice
	yielded int64       // when goroutines last had a chance to run, by now
	keeping keeping
	turning bool // the time since now is not in Stats.Lag yet
	closing bool // no new watchers
	closed  bool
	done    chan struct{} // closed when the loop has ended, however
	stale   staleGuard
	exits   exitSource // how exits of processes are heard of; nil: not yet needed
	watched map[*ProcessWatcher]struct{}
	stats   Stats
	residents
}

// New creates a loop. The error is an ErrUnsupported if the backend asked for is
// unknown or not one for this system.
func New(config Config) (*Loop, error) {
	p, err := openPoller(config)
	if err != nil {
		return nil, err
	}
	l := &Loop{
		poller:   p,
		backend:  p.Name(),
		config:   config,
		timebase: newTimebase(config.Clock),
		observer: newObserver(config),
		readBuf:  make([]byte, readBufferSize),
		slices:   yield.OneCPU,
		keeping:  newKeeping(p),
		done:     make(chan struct{}),
	}
	if yield.OneCPU {
		l.config.BusyPoll = 0
	}
	l.posts.wanted.Store(true) // outside Run the loop counts as about to block
	l.stale.init()
	return l, nil
}

// Backend names the mechanism that the loop waits with: "epoll", "kqueue", "poll", or
// what an injected Poller calls itself.
func (l *Loop) Backend() string { return l.backend }

// Yielding tells the loop that a callback has made a goroutine runnable (sent
// to a channel, closed one, …) which may well come back with a Post at once.
// Before the loop blocks it then gives goroutines a chance to run and looks
// again, which is several times cheaper than being woken. Not needed for
// correctness. Functions of this module that wake goroutines call it themselves.
func (l *Loop) Yielding() { l.woken++ }

// Closing reports whether the loop is being closed, or has been, for whatever reason: nothing can be started on it any
// more. For the loop's goroutine; others have Done.
func (l *Loop) Closing() bool { return l.closing }

// Done is closed when the loop has ended: by Close, by Shutdown, or because Run
// was left by a panic. Goroutine-safe.
func (l *Loop) Done() <-chan struct{} { return l.done }
