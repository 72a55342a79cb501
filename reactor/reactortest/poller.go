package reactortest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// ErrDeadlock is in the error of a wait, and so of Run, that nothing would have
// ended: no timer, no readiness, no plan, no goroutine of Poller.Go.
var ErrDeadlock = errors.New("reactortest: nothing can happen any more")

// MaxFD is the highest descriptor that a Poller knows of. The numbers from 0 to
// MaxFD all exist, whether the kernel has them or not; others are EBADF.
const MaxFD = 1<<16 - 1

// A Poller is a reactor.Poller that asks no kernel: the test says which descriptors
// are ready. It belongs to one loop. SetReady, Pulse, Clear, Go and Wake are
// goroutine-safe; everything else belongs to the loop's goroutine. Make one with
// NewPoller.
type Poller struct {
	clock *Clock        // nil: package time
	woken chan struct{} // holds a Wake

	mu         sync.Mutex
	conditions []condition // in the order in which they came up
	goroutines int         // started by Go, running

	registered map[int]registration
	failures   [operations][]error
	events     []reactor.PollerEvent
}

var _ reactor.Poller = (*Poller)(nil)

type registration struct {
	gen      uint32
	interest reactor.Ready
}

// condition is what a descriptor is ready for: as long as the test does not clear
// it, and once.
type condition struct {
	fd          int
	level, once reactor.Ready
}

// NewPoller returns a poller whose waits move the clock instead of sleeping. With
// nil they sleep by package time, which is for a bubble of testing/synctest; give
// the loop no Clock there.
func NewPoller(clock *Clock) *Poller {
	return &Poller{clock: clock, woken: make(chan struct{}, 1), registered: make(map[int]registration)}
}

// SetReady makes a descriptor ready until Clear. Every wait reports it to who asks
// for it, as the kernel does for data that nobody reads. HangUp makes it ready for
// everything. A descriptor need not be watched to be ready. Goroutine-safe.
func (p *Poller) SetReady(fd int, ready reactor.Ready) {
	p.change(fd, func(c *condition) { c.level |= ready })
}

// Pulse makes a descriptor ready for one report: readiness that is gone when it is
// looked at again, like data that the watcher reads. It waits until somebody asks
// for it. Goroutine-safe.
func (p *Poller) Pulse(fd int, ready reactor.Ready) {
	p.change(fd, func(c *condition) { c.once |= ready })
}

// Clear makes a descriptor not ready, for these conditions. Goroutine-safe.
func (p *Poller) Clear(fd int, ready reactor.Ready) {
	p.change(fd, func(c *condition) {
		c.level &^= ready
		c.once &^= ready
	})
}

// change changes what a descriptor is ready for. What is ready is reported in the
// order in which it has become so.
func (p *Poller) change(fd int, apply func(*condition)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.conditions, func(c condition) bool { return c.fd == fd })
	if i < 0 {
		i = len(p.conditions)
		p.conditions = append(p.conditions, condition{fd: fd})
	}
	c := &p.conditions[i]
	apply(c)
	if c.level|c.once == 0 {
		p.conditions = slices.Delete(p.conditions, i, i+1)
	}
	p.wake()
}

// Go runs fn on a goroutine for which the clock waits: while it is running, a wait
// lasts until something is ready or posted. Goroutine-safe.
func (p *Poller) Go(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goroutines++
	go func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.goroutines--
			p.wake() // the loop looks once more for what fn may have changed
		}()
		fn()
	}()
}

// Interest is what the loop asks of a descriptor now; 0: it does not watch it.
func (p *Poller) Interest(fd int) reactor.Ready { return p.registered[fd].interest }

// Name is "reactortest".
func (p *Poller) Name() string { return "reactortest" }

// FD returns reactor.ErrUnsupported.
func (p *Poller) FD() (int, error) { return -1, reactor.ErrUnsupported }

// Add is for the loop.
func (p *Poller) Add(fd int, gen uint32, interest reactor.Ready) error {
	if err := p.fail(Add); err != nil {
		return err
	}
	if fd < 0 || fd > MaxFD {
		return unix.EBADF
	}
	if _, ok := p.registered[fd]; ok {
		return unix.EEXIST
	}
	p.registered[fd] = registration{gen, interest & (reactor.Read | reactor.Write | reactor.HangUp)}
	return nil
}

// Modify is for the loop.
func (p *Poller) Modify(fd int, gen uint32, interest reactor.Ready) error {
	if err := p.fail(Modify); err != nil {
		return err
	}
	if _, ok := p.registered[fd]; !ok {
		return unix.ENOENT
	}
	p.registered[fd] = registration{gen, interest & (reactor.Read | reactor.Write | reactor.HangUp)}
	return nil
}

// Remove is for the loop. It forgets the descriptor even if it was told to fail.
func (p *Poller) Remove(fd int) error {
	_, ok := p.registered[fd]
	delete(p.registered, fd)
	if err := p.fail(Remove); err != nil {
		return err
	}
	if !ok {
		return unix.ENOENT
	}
	return nil
}

// Wake is for the loop. Goroutine-safe.
func (p *Poller) Wake() error {
	p.wake()
	return nil
}

func (p *Poller) wake() {
	select {
	case p.woken <- struct{}{}:
	default: // they are coalesced
	}
}

// Rebuild is for the loop.
func (p *Poller) Rebuild() error {
	clear(p.registered)
	return nil
}

// Close is for the loop. It does nothing.
func (p *Poller) Close() error { return nil }

// Wait is for the loop; see the package documentation for how time passes.
func (p *Poller) Wait(timeout time.Duration) ([]reactor.PollerEvent, error) {
	if err := p.fail(Wait); err != nil {
		return nil, err
	}
	running := p.running() // before the wake is taken: the end of a goroutine is one
	if woken := p.takeWake(); p.collect() || woken || timeout == 0 {
		return p.events, nil
	}
	switch {
	case p.clock == nil:
		p.sleep(timeout)
	case running:
		<-p.woken
	case timeout > 0:
		p.clock.step(later(p.clock.Monotonic(), timeout))
	case !p.clock.stepToPlan():
		return nil, p.deadlock()
	}
	p.takeWake()
	p.collect()
	return p.events, nil
}

// sleep waits for a Wake, or for the timeout by package time.
func (p *Poller) sleep(timeout time.Duration) {
	var over <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-p.woken:
	case <-over:
	}
}

func (p *Poller) takeWake() bool {
	select {
	case <-p.woken:
		return true
	default:
		return false
	}
}

func (p *Poller) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.goroutines > 0
}

// collect finds the events, and reports whether there are any.
func (p *Poller) collect() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = p.events[:0]
	kept := p.conditions[:0]
	for _, c := range p.conditions {
		r := p.registered[c.fd]
		if ready := reported(c.level|c.once, r.interest); ready != 0 {
			p.events = append(p.events, reactor.PollerEvent{FD: int32(c.fd), Gen: r.gen, Ready: ready})
			c.once &^= ready
		}
		if c.level|c.once != 0 {
			kept = append(kept, c)
		}
	}
	p.conditions = kept
	return len(p.events) > 0
}

// reported is what is told of a descriptor to who asks for interest.
func reported(ready, interest reactor.Ready) reactor.Ready {
	if ready&reactor.HangUp != 0 && interest != 0 {
		return reactor.Read | reactor.Write | reactor.HangUp
	}
	return ready & interest
}

// deadlock says what the loop would wait for.
func (p *Poller) deadlock() error {
	if len(p.registered) == 0 {
		return fmt.Errorf("%w; no descriptor is watched", ErrDeadlock)
	}
	var watched []string
	for fd, r := range p.registered {
		watched = append(watched, fmt.Sprintf("fd %d for %s", fd, reactor.ReadyString(r.interest)))
	}
	slices.Sort(watched)
	return fmt.Errorf("%w; watched: %s", ErrDeadlock, strings.Join(watched, ", "))
}
