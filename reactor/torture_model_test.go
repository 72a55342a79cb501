package reactor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// TestTortureEverythingIsCalledOnceAndInOrder does random things with every kind
// of watcher, from outside and from inside of callbacks, beside a model that knows
// from the documentation what each iteration has to call. Time is moved by hand,
// so a timer that is a nanosecond early or an iteration late is seen.
func TestTortureEverythingIsCalledOnceAndInOrder(t *testing.T) {
	tortureRounds(t, 1, runWorld)
}

func runWorld(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	for range 2000 {
		w.random()()
		verify(t, w.loop)
		if w.rnd.IntN(3) == 0 {
			w.iterate()
		}
		if t.Failed() {
			break
		}
	}
	w.end()
}

// world is a loop and the model of what is on it.
type world struct {
	t     *testing.T
	rnd   *rand.Rand
	loop  *reactor.Loop
	clock *handClock

	timers   []*modelTimer
	seq      int // of the next start of a watcher
	ends     []*modelEnd
	dups     []int // of ends that were closed; see leakEnd
	watchers []*modelWatcher
	hooks    []*modelHook
	streams  []*modelStream
	fed      []pender // in the order in which they were fed

	posted, ran int // by this goroutine
	producers   sync.WaitGroup
	fromOthers  []*producer
	signals     chan os.Signal

	polling   bool
	depth     int // of things done inside of callbacks
	collected int // how many watchers and timers this iteration has to call
	level     int // of the last of them that was called
	order     int // and its place among them
	happened  int // highest level at which anything was called in this iteration
	touched   bool
	panics    int // thrown
	caught    int
}

// pender is what a feed makes pending in the next iteration.
type pender interface{ collectFed() }

const maxLevel = reactor.MaxPriority - reactor.MinPriority + 1

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), clock: &handClock{}, signals: make(chan os.Signal, 1)}
	config := reactor.Config{Clock: w.clock}
	if seed%2 == 0 {
		config.OnPanic = func(p *reactor.Panic) {
			if w.caught++; p.Value != any(w) {
				panic(p.Value) // a bug's
			}
		}
	} else {
		w.panics = -1 // none
	}
	w.loop = newLoopWith(t, config)
	signal.Notify(w.signals, unix.SIGUSR2)
	// Nothing comes between this hook and the wait.
	must(t, w.loop.OnPrepare(w.collect).SetPriority(reactor.MinPriority))
	return w
}

// iterate is one iteration, and what is to be seen after it.
func (w *world) iterate() {
	before := w.loop.Stats()
	deferred := 0
	for _, s := range w.streams {
		deferred += s.deferredCalls
	}
	w.polling, w.touched, w.happened = true, false, maxLevel
	for _, h := range w.hooks {
		h.calls, h.due = 0, h.active && h.kind != idleHook
	}
	must(w.t, w.loop.Poll(0))
	w.polling = false
	verify(w.t, w.loop)
	for _, s := range w.streams {
		deferred -= s.deferredCalls
	}
	now := w.loop.Stats()
	quiet := now.Events == before.Events && now.Timers == before.Timers && now.Posts == before.Posts &&
		w.collected == 0 && deferred == 0
	w.checkTimers()
	w.checkWatchers()
	w.checkHooks(quiet)
	if w.panics > 0 && w.caught != w.panics {
		w.t.Errorf("%d of %d panics were reported", w.caught, w.panics)
	}
}

// collect foresees what the coming wait will make pending.
func (w *world) collect() {
	w.level, w.order, w.collected = 0, 0, 0
	for _, p := range w.fed {
		p.collectFed()
	}
	w.fed = nil
	w.collectTimers()
	w.collectWatchers()
}

// unfeed takes back a feed.
func (w *world) unfeed(p pender) {
	w.fed = slices.DeleteFunc(w.fed, func(x pender) bool { return x == p })
}

// called checks the order of what is pending: by priority, then as it happened.
func (w *world) called(level, order int) {
	switch {
	case level < w.level:
		w.t.Errorf("a watcher of level %d was called after one of level %d", level, w.level)
	case level == w.level && order < w.order:
		w.t.Errorf("the watcher that became pending as number %d was called after number %d", order, w.order)
	}
	w.level, w.order = level, order
	w.happened = min(w.happened, level)
}

func levelOf(priority int) int { return reactor.MaxPriority - priority }

// inside is what every callback does: sometimes another step, seldom a panic.
func (w *world) inside() {
	if !w.polling {
		w.t.Error("a callback outside of an iteration")
	}
	if w.depth < maxDepth && w.rnd.IntN(2) == 0 {
		w.depth++
		w.random()()
		w.depth--
	}
	if w.panics >= 0 && w.depth == 0 && w.rnd.IntN(300) == 0 {
		w.panics++
		panic(any(w))
	}
}

func (w *world) random() func() {
	all := []func(){
		w.newTimer, w.changeTimer, w.changeTimer, w.changeTimer,
		w.newEnds, w.closeEnds, w.reopenEnds, w.leakEnd, w.closeDup, w.changeEnd, w.changeEnd,
		w.newWatcher, w.newWatcher, w.changeWatcher, w.changeWatcher, w.changeWatcher, w.feedFD,
		w.newHook, w.changeHook,
		w.newStream, w.changeStream, w.changeStream, w.changePeer, w.changePeer,
		w.advance, w.advance, w.advance,
		w.post, w.newProducer, w.signal, w.nested,
	}
	return all[w.rnd.IntN(len(all))]
}

// one returns one of a list, or the zero value.
func one[T any](w *world, list []T) (x T) {
	if len(list) > 0 {
		x = list[w.rnd.IntN(len(list))]
	}
	return x
}

func (w *world) priority() int {
	return reactor.MinPriority + w.rnd.IntN(reactor.MaxPriority-reactor.MinPriority+1)
}

func (w *world) advance() { w.clock.now += w.span(200_000) }

// post posts from the loop's own goroutine: posts run in order.
func (w *world) post() {
	number := w.posted
	w.posted++
	inPost := true
	must(w.t, w.loop.Post(func() {
		if inPost {
			w.t.Error("a post ran inside Post")
		}
		if w.ran != number {
			w.t.Errorf("post %d ran in place %d", number, w.ran)
		}
		w.ran++
		w.happened = min(w.happened, levelOf(0))
		w.inside()
	}))
	inPost = false
}

// producer is a goroutine that posts.
type producer struct{ want, ran int }

func (w *world) newProducer() {
	if len(w.fromOthers) >= 50 {
		return
	}
	p := &producer{want: 1 + w.rnd.IntN(50)}
	w.fromOthers = append(w.fromOthers, p)
	w.producers.Go(func() {
		for number := range p.want {
			err := w.loop.Post(func() {
				if p.ran != number {
					w.t.Errorf("a goroutine's post %d ran in place %d", number, p.ran)
				}
				p.ran++
				w.happened = min(w.happened, levelOf(0))
				w.inside()
			})
			if err != nil {
				w.t.Error(err)
			}
		}
	})
}

// signal interrupts whatever is interruptible.
func (w *world) signal() { must(w.t, unix.Kill(unix.Getpid(), unix.SIGUSR2)) }

// nested tries what is not allowed in callbacks, and Stop, which is.
func (w *world) nested() {
	if w.polling {
		wantErr(w.t, w.loop.Poll(0), reactor.ErrNested)
		wantErr(w.t, w.loop.Close(), reactor.ErrNested)
	}
	w.loop.Stop()
}

// end brings everything to its end, in which nobody does anything new.
func (w *world) end() {
	w.depth = maxDepth
	w.panics = min(w.panics, 0)
	w.producers.Wait()
	for range 100 {
		w.iterate()
		w.clock.now += time.Millisecond
	}
	if w.ran != w.posted {
		w.t.Errorf("%d of %d posts ran", w.ran, w.posted)
	}
	for i, p := range w.fromOthers {
		if p.ran != p.want {
			w.t.Errorf("producer %d: %d of %d posts ran", i, p.ran, p.want)
		}
	}
	w.endStreams()
	for len(w.ends) > 0 {
		w.close(w.ends[0])
	}
	for len(w.dups) > 0 {
		w.closeDup()
	}
	must(w.t, w.loop.Close())
	for _, m := range w.timers {
		if m.timer.Active() || m.timer.Pending() {
			w.t.Error("a timer is active on a closed loop")
		}
	}
	for _, s := range w.streams {
		if s.closed != 1 {
			w.t.Errorf("OnClose was called %d times", s.closed)
		}
		s.peer.Close()
	}
	signal.Stop(w.signals)
	if w.t.Failed() {
		w.t.Log(w)
	}
}

func (w *world) String() string {
	return fmt.Sprintf("%d timers, %d watchers on %d ends, %d hooks, %d streams, %d posts",
		len(w.timers), len(w.watchers), len(w.ends), len(w.hooks), len(w.streams), w.posted)
}
