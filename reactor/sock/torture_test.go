package sock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/sock"
)

// The torture opens, pauses, stops and closes at random, from callbacks too, while accept fails and callbacks
// panic, which one loop of three does not survive. The function of every dial must be called once, or never if
// the dial was stopped; no callback is made inside a call; nothing is left. EVFORK_TORTURE=1m repeats it with
// new seeds for that long; EVFORK_TORTURE_SEED=n repeats one.

const (
	tortureSteps = 200
	tortureDials = 300
	purpose      = "on purpose"
)

func TestTortureEveryDialEndsOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	duration, _ := time.ParseDuration(os.Getenv("EVFORK_TORTURE"))
	if s, err := strconv.ParseUint(os.Getenv("EVFORK_TORTURE_SEED"), 10, 64); err == nil {
		seed = s
	}
	for end := time.Now().Add(duration); ; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("EVFORK_TORTURE_SEED=%d", seed)
			torture(t, seed)
		})
		if t.Failed() || !time.Now().Before(end) {
			return
		}
	}
}

// tortured is a loop, what is open on it, and what was heard of it.
type tortured struct {
	t      *testing.T
	rnd    *rand.Rand
	loop   *reactor.Loop
	dir    string
	names  int
	inCall bool // of the package's
	calm   bool // nothing is started from callbacks any more, and nothing fails
	depth  int
	panics struct{ made, heard int }

	listeners []*torturedListener
	dials     []*torturedDial
	streams   []*reactor.Stream
}

type torturedListener struct {
	*sock.Listener
	paused bool
}

type torturedDial struct {
	*sock.Dialing
	calls   int
	stopped bool
}

func torture(t *testing.T, seed uint64) {
	x := &tortured{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), dir: shortDir(t)}
	config := reactor.Config{OnPanic: x.onPanic}
	if x.oneIn(3) {
		config.OnPanic = nil
	}
	x.loop = newLoopWith(t, config)
	for range tortureSteps {
		x.act()
		if x.polled(); x.calm { // it has failed
			break
		}
		must(t, x.loop.Verify())
	}
	if !x.calm && x.oneIn(2) {
		x.letEverythingEnd()
	}
	x.calm = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.loop.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, reactor.ErrClosed) {
		t.Error(err)
	}
	must(t, x.loop.Close())
	x.check(config.OnPanic != nil)
}

// polled is an iteration, which a panic may end.
func (x *tortured) polled() {
	defer func() {
		if value := recover(); value != nil {
			x.calm = true
			x.depth = 0
		}
	}()
	must(x.t, x.loop.Poll(time.Duration(x.rnd.IntN(500))*time.Microsecond))
}

func (x *tortured) onPanic(p *reactor.Panic) {
	if x.panics.heard++; p.Value != purpose {
		x.t.Errorf("panic: %v\n%s", p.Value, p.Stack)
	}
}

// letEverythingEnd resumes the listeners, and waits until every dial has ended by itself.
func (x *tortured) letEverythingEnd() {
	x.calm = true
	for _, l := range x.listeners {
		if l.FD() >= 0 {
			l.paused = false
			must(x.t, l.Resume())
		}
	}
	pollUntil(x.t, x.loop, func() bool {
		for _, d := range x.dials {
			if d.calls == 0 && !d.stopped {
				return false
			}
		}
		return true
	})
}

func (x *tortured) check(survives bool) {
	for i, d := range x.dials {
		if want := 1; d.calls != want && !d.stopped || d.calls > 0 && d.stopped {
			x.t.Errorf("the function of dial %d was called %d times; it was stopped: %v", i, d.calls, d.stopped)
		}
	}
	if survives && x.panics.heard != x.panics.made {
		x.t.Errorf("%d panics were heard of, of %d", x.panics.heard, x.panics.made)
	}
}

func (x *tortured) oneIn(n int) bool { return x.rnd.IntN(n) == 0 }

// call makes a call of the package's, in which there must be no callback.
func (x *tortured) call(fn func()) {
	before := x.inCall
	x.inCall = true
	fn()
	x.inCall = before
}

// callback does at random what callbacks may do.
func (x *tortured) callback(what string) {
	if x.inCall {
		x.t.Errorf("%s was called inside a call", what)
	}
	if x.calm || x.depth > 2 {
		return
	}
	x.depth++
	defer func() { x.depth-- }()
	for range x.rnd.IntN(3) {
		x.act()
	}
	if x.oneIn(20) {
		x.panics.made++
		panic(purpose)
	}
}

// act does one thing at random.
func (x *tortured) act() {
	switch x.rnd.IntN(8) {
	case 0:
		x.listen()
	case 1, 2, 3:
		x.dial()
	case 4:
		if d, ok := anyOf(x, x.dials); ok && d.calls == 0 {
			d.stopped = true
			x.call(d.Stop)
		}
	case 5:
		if l, ok := anyOf(x, x.listeners); ok {
			x.disturb(l)
		}
	default:
		if s, ok := anyOf(x, x.streams); ok {
			x.call(s.Close)
		}
	}
}

func anyOf[T any](x *tortured, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[x.rnd.IntN(len(list))], true
}

func (x *tortured) disturb(l *torturedListener) {
	x.call(func() {
		switch x.rnd.IntN(3) {
		case 0:
			l.paused = true
			l.Pause()
		case 1:
			l.paused = false
			_ = l.Resume() // ErrClosed: it was closed
		default:
			l.paused = true // for good
			l.Close()
		}
	})
}
