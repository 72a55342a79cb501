package rpctest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// Config configures a Transport. The zero value is a connection without faults.
type Config struct {
	// Name is what errors call the child. "": "rpctest".
	Name string
	// ToChild and ToParent are what is wrong with the two directions.
	ToChild, ToParent Faults
	// Seed is where random sizes and delays come from. 0: EVFORK_SEED from the
	// environment, or else another one each time, which the test logs.
	Seed uint64
	// StopWait is how long the child may take to end after Stop, and after it has
	// answered everything, before it is killed. 0: 5 s.
	StopWait time.Duration
	// EOFWait is how long a child that has closed its output or its input may take to
	// end before it is killed. 0: 250 ms, as with processes.
	EOFWait time.Duration
}

const (
	defaultStopWait = 5 * time.Second
	defaultEOFWait  = 250 * time.Millisecond

	// farHighWater is how much may wait for a child that does not read.
	farHighWater = 64 << 10
)

// A Transport is an rpc.Transport that a test has in its hands. All methods belong
// to the loop's goroutine, except Wait.
type Transport struct {
	t      testing.TB
	loop   *reactor.Loop
	config Config
	ends   []file // the server's descriptors, if they are in this process

	clientRead, clientWrite int // until Open; then -1
	protocol                *reactor.Stream
	opened                  bool

	nearRead  int // what the client writes
	reader    *reactor.FDWatcher
	nearWrite *reactor.Stream // what the client reads
	far       *reactor.Stream // to and from the server
	inner     rpc.Transport   // whose stream far is; nil without
	alone     bool            // Pair: far's end is all that is known of the server

	toChild, toParent lane
	buf               []byte // of reads from nearRead
	queue             []byte // read from far, for toParent
	farEOF            bool

	patience *reactor.Timer // StopWait, EOFWait
	stopping bool
	stopped  bool // inner has been told
	asked    child.Asked
	reason   error
	gone     error // why the child is gone; what it had delivered is still to be read
	closing  bool  // nearWrite is being flushed for the last time
	ended    bool
	cause    error
	onEnd    []func(cause error)
	release  func() // the hold on the loop
	cleanup  *reactor.Hook

	finished chan struct{} // closed with ended
	returned chan struct{} // closed when the server function has returned
	result   error         // what it returned
}

var _ rpc.Transport = (*Transport)(nil)

func newTransport(t testing.TB, loop *reactor.Loop, config Config) *Transport {
	t.Helper()
	if config.Name == "" {
		config.Name = "rpctest"
	}
	if config.StopWait <= 0 {
		config.StopWait = defaultStopWait
	}
	if config.EOFWait <= 0 {
		config.EOFWait = defaultEOFWait
	}
	tr := &Transport{
		t: t, loop: loop, config: config,
		buf:      make([]byte, pieceDefault),
		finished: make(chan struct{}),
		returned: make(chan struct{}),
	}
	random := rand.New(rand.NewPCG(tr.seed(), 0))
	tr.clientRead, tr.clientWrite = -1, -1
	r, w := pipe(t)
	tr.nearRead, tr.clientWrite = r, w
	tr.clientRead, w = pipe(t)
	tr.must(unix.SetNonblock(tr.nearRead, true))
	var err error
	tr.nearWrite, err = loop.NewStream(-1, w, reactor.StreamConfig{
		OnDrain: func() { tr.toParent.update() },
		OnClose: tr.onNearClosed,
	})
	tr.must(err)
	tr.reader, err = loop.WatchFD(tr.nearRead, reactor.Read, func(reactor.Ready) { tr.toChild.pump() })
	tr.must(err)
	tr.must(tr.reader.Stop())
	tr.initLanes(random)
	tr.release = loop.Hold() // a living child keeps Run from returning
	tr.cleanup = loop.OnCleanup(func() { tr.finish(reactor.ErrClosed) })
	return tr
}

// seed is the configured one, whose owner knows it, or one that is logged.
func (tr *Transport) seed() uint64 {
	tr.t.Helper()
	c := &tr.config
	if c.Seed != 0 {
		return c.Seed
	}
	if c.Seed, _ = strconv.ParseUint(os.Getenv("EVFORK_SEED"), 10, 64); c.Seed == 0 {
		c.Seed = rand.Uint64()
	}
	if c.ToChild.random() || c.ToParent.random() {
		tr.t.Logf("rpctest: EVFORK_SEED=%d", c.Seed)
	}
	return c.Seed
}

func (f *Faults) random() bool { return f.RandomPieces || f.RandomDelay }

func (tr *Transport) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatalf("rpctest: %v", err)
	}
}

// Seed is the seed in use.
func (tr *Transport) Seed() uint64 { return tr.config.Seed }

// Passed is how many bytes each direction has taken from its sender and passed on
// or dropped.
func (tr *Transport) Passed() (toChild, toParent int64) {
	return tr.toChild.taken, tr.toParent.taken
}

// Open implements rpc.Transport.
func (tr *Transport) Open(config reactor.StreamConfig) (*reactor.Stream, error) {
	switch {
	case tr.ended || tr.gone != nil:
		return nil, &child.Error{Op: "open", Name: tr.config.Name, Err: child.ErrExited}
	case tr.opened:
		return nil, &child.Error{Op: "open", Name: tr.config.Name, Err: child.ErrClaimed}
	}
	onClose := config.OnClose
	config.OnClose = func(err error) {
		defer tr.protocolClosed(err) // also if the callback panics
		if onClose != nil {
			onClose(err)
		}
	}
	s, err := tr.loop.NewStream(tr.clientRead, tr.clientWrite, config)
	if err != nil {
		return nil, err
	}
	tr.protocol, tr.opened = s, true
	tr.clientRead, tr.clientWrite = -1, -1
	tr.toChild.start()
	tr.toParent.start()
	return s, nil
}

// Ready implements rpc.Transport. There is no start timeout, except that of a
// wrapped transport.
func (tr *Transport) Ready() {
	if tr.inner != nil && !tr.ended {
		tr.inner.Ready()
	}
}

// OnEnd implements rpc.Transport.
func (tr *Transport) OnEnd(fn func(cause error)) {
	if !tr.ended {
		tr.onEnd = append(tr.onEnd, fn)
		return
	}
	cause := tr.cause
	_ = tr.loop.Post(func() { fn(cause) }) // a closed loop calls nobody
}

// Wait waits until the server function of Start has returned, and returns what it
// did. Goroutine-safe; on the loop's goroutine call it after the end. After Pair and
// Wrap it returns nil at once.
func (tr *Transport) Wait() error {
	<-tr.returned
	return tr.result
}
