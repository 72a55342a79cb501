package reactor

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/internal/poller"
)

// readBufferSize is the loop's one shared read buffer: as much as a default
// Linux pipe holds, so that one read(2) empties it.
const readBufferSize = 64 << 10

// Config configures a Loop. The zero value is useful.
type Config struct {
	// BusyPoll is how long an iteration polls without blocking before it
	// blocks. 0: not at all. It trades a processor for latency.
	BusyPoll time.Duration
}

// A Loop waits for descriptors, timers, processes and posted functions, and
// calls back. See the package documentation for its iteration and its rules.
//
// All methods belong to the loop's goroutine (the one inside Run, Poll or
// RunUntil; outside of these, the one that created it), except those
// documented as goroutine-safe.
type Loop struct {
	poller poller.Poller
	config Config
	base   time.Time // Now is base+now: one monotonic reading per iteration
	now    int64     // nanoseconds since base

	slots   []slot     // by descriptor
	cursor  *FDWatcher // next watcher of the descriptor being dispatched
	timers  timerHeap
	posts   postQueue
	streams streamList

	dirty    []*Stream // have bytes to write, or a write side to finish
	deferred []*Stream // owe a callback that must not run where it was caused

	readBuf []byte // lent to OnData; nil while lent
	chunks  chunkCache
	refs    int // active referenced watchers
	holds   atomic.Int64
	running atomic.Bool // inside Run, Poll, RunUntil, Close or Shutdown
	stopped atomic.Bool // Stop was called and not yet honoured
	yield   bool        // see Yielding
	closing bool        // no new watchers
	closed  bool
	done    chan struct{} // closed when the loop has ended, however
	stale   staleGuard
	stats   Stats
	residents
}

// New creates a loop. On a platform without a poller it returns ErrUnsupported.
func New(config Config) (*Loop, error) {
	p, err := poller.Open()
	if errors.Is(err, poller.ErrUnsupported) {
		return nil, ErrUnsupported
	}
	if err != nil {
		return nil, opError("open poller", -1, err)
	}
	l := &Loop{
		poller:  p,
		config:  config,
		base:    time.Now(),
		readBuf: make([]byte, readBufferSize),
		done:    make(chan struct{}),
	}
	l.posts.wanted.Store(true) // outside Run the loop counts as about to block
	l.stale.init()
	return l, nil
}

// Now is the time of the current iteration, read once when its wait ended.
// It includes a monotonic reading. Callbacks that compute for long may see it
// lag behind time.Now.
func (l *Loop) Now() time.Time { return l.base.Add(time.Duration(l.now)) }

// clock reads the monotonic clock, in nanoseconds since base.
func (l *Loop) clock() int64 { return int64(time.Since(l.base)) }

// Poller names the mechanism that the loop waits with: "epoll", "kqueue", "poll".
func (l *Loop) Poller() string { return l.poller.Name() }

// Yielding tells the loop that a callback has made a goroutine runnable (sent
// to a channel, closed one, …) which may well come back with a Post at once.
// Before the loop blocks it then gives goroutines a chance to run and looks
// again, which is several times cheaper than being woken. Not needed for
// correctness. Functions of this module that wake goroutines call it themselves.
func (l *Loop) Yielding() { l.yield = true }

// Done is closed when the loop has ended: by Close, by Shutdown, or because Run
// was left by a panic. Goroutine-safe.
func (l *Loop) Done() <-chan struct{} { return l.done }
