package reactor_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestTortureWatchersAreOnlyCalledWhileActive does random things to watchers that
// are not of descriptors or timers, from outside and from inside of callbacks,
// while the clock jumps. It asks Verify after each; none may be called while it is
// stopped.
func TestTortureWatchersAreOnlyCalledWhileActive(t *testing.T) {
	duration, _ := time.ParseDuration(os.Getenv("EVFORK_TORTURE"))
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("EVFORK_TORTURE_SEED"), 10, 64); err == nil {
		seed = s
	}
	for end := time.Now().Add(duration); ; seed++ {
		t.Logf("EVFORK_TORTURE_SEED=%d", seed)
		zooOf(t, seed).torture(2000)
		if t.Failed() || !time.Now().Before(end) {
			return
		}
	}
}

// A creature is a watcher of any kind, and whether it may be called.
type creature struct {
	kind   string
	handle interface {
		Active() bool
		Ref()
		Unref()
		SetPriority(int) error
	}
	start, stop, feed func()
	wanted, oneShot   bool
}

// zoo is a loop with watchers of every kind.
type zoo struct {
	t     *testing.T
	loop  *reactor.Loop
	clock *twoClocks
	rnd   *rand.Rand
	all   []*creature
	path  string
	depth int // of things done inside of callbacks
	calls int
}

func zooOf(t *testing.T, seed uint64) *zoo {
	loop, clock := clockLoop(t)
	z := &zoo{t: t, loop: loop, clock: clock, rnd: rand.New(rand.NewPCG(seed, 0))}
	z.path = filepath.Join(t.TempDir(), "file")
	for range 3 {
		z.addTimes()
		z.addOthers()
	}
	return z
}

func (z *zoo) torture(steps int) {
	for range steps {
		z.step()
		verify(z.t, z.loop)
		if z.rnd.IntN(3) == 0 {
			must(z.t, z.loop.Poll(0))
			verify(z.t, z.loop)
		}
		if z.t.Failed() {
			return
		}
	}
	if z.calls == 0 {
		z.t.Error("nothing was ever called")
	}
	must(z.t, z.loop.Close())
	for _, c := range z.all {
		if c.handle.Active() {
			z.t.Errorf("%s is active after Close", c.kind)
		}
		c.stop()
	}
}

// called is every callback.
func (z *zoo) called(c *creature) func() {
	return func() {
		z.calls++
		if !c.wanted {
			z.t.Errorf("%s was called while stopped", c.kind)
		}
		if c.oneShot {
			c.wanted = false
		}
		if z.depth++; z.depth < maxDepth {
			z.step()
		}
		z.depth--
	}
}

func (z *zoo) add(c *creature) {
	c.wanted = true
	z.all = append(z.all, c)
}

func (z *zoo) addTimes() {
	addPeriodic := func(kind string, oneShot bool, open func(fn func()) *reactor.Periodic) {
		c := &creature{kind: kind, oneShot: oneShot}
		p := open(z.called(c))
		c.handle, c.start, c.stop, c.feed = p, p.Start, p.Stop, func() { p.Feed() }
		z.add(c)
	}
	addPeriodic("at", true, func(fn func()) *reactor.Periodic {
		return z.loop.At(noon.Add(z.span()), fn)
	})
	addPeriodic("periodic", false, func(fn func()) *reactor.Periodic {
		return z.loop.Periodic(func(now time.Time) time.Time { return now.Truncate(time.Minute).Add(time.Minute) }, fn)
	})
	addPeriodic("every wall", false, func(fn func()) *reactor.Periodic {
		p, err := z.loop.EveryWall(z.span(), z.span(), fn)
		must(z.t, err)
		return p
	})
}

func (z *zoo) addOthers() {
	c := &creature{kind: "async"}
	a := z.loop.NewAsync(z.called(c))
	c.handle, c.start, c.stop, c.feed = a, a.Start, a.Stop, func() { a.Send() }
	z.add(c)

	c = &creature{kind: "signal"}
	s, err := z.loop.WatchSignal(syscall.SIGUSR1, z.called(c))
	must(z.t, err)
	c.handle, c.start, c.stop, c.feed = s, func() { s.Start() }, s.Stop, func() { s.Feed() }
	z.add(c)

	c = &creature{kind: "path"}
	called := z.called(c)
	p, err := z.loop.WatchPath(z.path, 0, func(prev, cur reactor.PathInfo) { called() })
	must(z.t, err)
	c.handle, c.start, c.stop, c.feed = p, func() { p.Start() }, p.Stop, func() { p.Feed() }
	z.add(c)

	end := pipe(z.t)
	c = &creature{kind: "once", oneShot: true}
	done := z.called(c)
	o, err := z.loop.Once(end.Read, reactor.Read, z.span(), func(reactor.Ready) { done() })
	must(z.t, err)
	c.handle, c.start, c.stop = o, func() { must(z.t, ignoreClosed(o.Start())) }, func() { must(z.t, o.Stop()) }
	c.feed = func() { z.ready(end) }
	z.add(c)
}

// span is a time between a second and an hour.
func (z *zoo) span() time.Duration {
	return time.Second + time.Duration(z.rnd.Int64N(int64(time.Hour)))
}

// ready makes a pipe readable or empty.
func (z *zoo) ready(end *fdtest.End) {
	if _, eof := end.Available(z.t); eof {
		z.t.Error("the pipe has ended")
	}
	if z.rnd.IntN(2) == 0 {
		end.Send(z.t, []byte("x"))
	}
}

func ignoreClosed(err error) error {
	if err == reactor.ErrClosed {
		return nil
	}
	return err
}

// step does one random thing.
func (z *zoo) step() {
	c := z.all[z.rnd.IntN(len(z.all))]
	switch z.rnd.IntN(12) {
	case 0, 1:
		c.start()
		c.wanted = c.handle.Active()
	case 2, 3:
		c.stop()
		c.wanted = false
		if c.handle.Active() {
			z.t.Errorf("%s is active after Stop", c.kind)
		}
	case 4, 5:
		c.feed()
	case 6:
		c.handle.Ref()
	case 7:
		c.handle.Unref()
	case 8:
		if err := c.handle.SetPriority(z.rnd.IntN(5) - 2); err != nil && err != reactor.ErrPending {
			z.t.Errorf("%s: SetPriority: %v", c.kind, err)
		}
	case 9:
		z.clock.pass(z.span())
	case 10: // a jump, of which the loop hears, or not
		z.clock.wall = noon.Add(z.span() - 30*time.Minute)
		if z.rnd.IntN(2) == 0 {
			z.loop.WallJumped()
		}
	default:
		z.touch()
	}
}

// touch changes what the path watchers watch.
func (z *zoo) touch() {
	switch z.rnd.IntN(3) {
	case 0:
		os.Remove(z.path) // may not exist
	case 1:
		write(z.t, z.path, strconv.Itoa(z.calls))
	default:
		write(z.t, z.path+".new", "x")
		must(z.t, os.Rename(z.path+".new", z.path))
	}
}
