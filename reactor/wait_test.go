package reactor_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// recordingPoller is a simulated one that notes the timeout of each wait.
type recordingPoller struct {
	*reactortest.Poller
	clock    *reactortest.Clock
	timeouts []time.Duration
	asked    func() // before a wait; nil: nothing
}

func (p *recordingPoller) Wait(timeout time.Duration) ([]reactor.PollerEvent, error) {
	p.timeouts = append(p.timeouts, timeout)
	if p.asked != nil {
		p.asked()
	}
	return p.Poller.Wait(timeout)
}

// newRecorded is a loop with a clock and a poller of its own, and the record of its waits.
func newRecorded(t *testing.T) (*reactor.Loop, *recordingPoller) {
	t.Helper()
	clock := reactortest.NewClock()
	record := &recordingPoller{Poller: reactortest.NewPoller(clock), clock: clock}
	return newLoopWith(t, reactor.Config{Clock: clock, Poller: record}), record
}

// answerPosts runs the loop with a goroutine that answers each post with another: step is called on the loop, by each, until
// it returns false.
func answerPosts(t *testing.T, loop *reactor.Loop, step func() bool) {
	t.Helper()
	questions := make(chan bool)
	var helper sync.WaitGroup
	answer := func() {
		if !step() {
			close(questions)
			loop.Stop()
			return
		}
		loop.Yielding()
		questions <- true
	}
	helper.Go(func() {
		for range questions {
			loop.Post(answer)
		}
	})
	loop.Post(answer)
	defer loop.Hold()()
	must(t, loop.Run(t.Context()))
	helper.Wait()
}

// TestPollerThatHasNothingIsSeldomAskedBeforeBlocking: in the first two waits in succession, and then in one of sixteen.
func TestPollerThatHasNothingIsSeldomAskedBeforeBlocking(t *testing.T) {
	loop, record := newRecorded(t)
	ticker := loop.Every(time.Microsecond, time.Microsecond, func() {}) // all in less than the time after which it yields
	asked := func(iterations int) (polls int) {
		record.timeouts = record.timeouts[:0]
		for range iterations {
			must(t, loop.Poll(-1))
		}
		for _, timeout := range record.timeouts {
			if timeout == 0 {
				polls++
			}
		}
		if blocked := len(record.timeouts) - polls; blocked != iterations {
			t.Errorf("%d waits blocked in %d iterations", blocked, iterations)
		}
		return polls
	}
	if n := asked(2); n != 2 {
		t.Errorf("asked %d times before the first two waits, want 2", n)
	}
	if n := asked(160); n != 10 {
		t.Errorf("asked %d times before 160 waits, want 10", n)
	}
	watcher := watch(t, loop, 3, reactor.Read, func(reactor.Ready) { record.Clear(3, reactor.Read) })
	for range 16 { // in one of these it is asked, and has something
		record.SetReady(3, reactor.Read)
		must(t, loop.Poll(-1))
	}
	record.Clear(3, reactor.Read)
	for range 2 { // what the last of them may have left
		must(t, loop.Poll(-1))
	}
	must(t, watcher.Stop())
	ticker.Stop()
}

// TestPollerIsAskedBeforeSeveralGoroutinesRun: asking costs little beside what these do. A loop that had waited in
// vain had all of them run first, time and again, because what it found after that did not count.
func TestPollerIsAskedBeforeSeveralGoroutinesRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	loop, record := newRecorded(t)
	ticker := loop.Every(time.Microsecond, time.Microsecond, func() {})
	for range 3 { // in vain
		must(t, loop.Poll(-1))
	}
	watcher := watch(t, loop, 3, reactor.Read, func(reactor.Ready) {})
	record.SetReady(3, reactor.Read)
	first := false
	for range 10 { // the test may be interrupted; after 13 of them it would be asked in any case
		if first {
			break
		}
		var ran atomic.Bool
		var goroutine sync.WaitGroup
		goroutine.Go(func() { ran.Store(true) })
		record.asked = func() { first = !ran.Load() }
		loop.Yielding()
		loop.Yielding()
		must(t, loop.Poll(-1))
		goroutine.Wait()
	}
	if !first {
		t.Error("the poller was asked after the goroutine had run")
	}
	record.asked = nil
	record.Clear(3, reactor.Read)
	must(t, watcher.Stop())
	ticker.Stop()
}

// TestPostsOfWokenGoroutinesDoNotKeepThePollerWaiting: a goroutine answers each post with a post, before the loop
// blocks. A descriptor that is ready is heard of all the same.
func TestPostsOfWokenGoroutinesDoNotKeepThePollerWaiting(t *testing.T) {
	if !alone(t, "GOMAXPROCS=1") {
		return
	}
	loop := newLoop(t)
	const before, limit = 100, 20
	rounds, heard := 0, 0
	var ready *reactor.FDWatcher
	answerPosts(t, loop, func() bool {
		if rounds++; rounds == before {
			ready = watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { heard = rounds })
		}
		return heard == 0 && rounds < before+limit
	})
	if heard == 0 {
		t.Errorf("not heard of in %d iterations with posts", limit)
	}
	must(t, ready.Stop())
}

// TestWokenGoroutineRunsBeforeTheLoopBlocks: with one processor it would have to wait until the runtime takes that
// away from the loop, which blocks with it. A single yield left every 61st goroutine waiting: see package yield.
func TestWokenGoroutineRunsBeforeTheLoopBlocks(t *testing.T) {
	if !alone(t, "GOMAXPROCS=1") {
		return
	}
	loop := newLoop(t)
	const most = 6100
	rounds := 0
	answerPosts(t, loop, func() bool { rounds++; return rounds < most })
	// Some are left: the garbage collector and the runtime's monitor have reasons of their own.
	if n := loop.Stats().Blocked; n > most/61/4 {
		t.Errorf("blocked %d times in %d rounds", n, rounds)
	}
}

// TestTimerIsNotLateForGoroutinesThatRanLong: what they take is not added to how long the loop may block, and it does
// not block if the timer has become due.
func TestTimerIsNotLateForGoroutinesThatRanLong(t *testing.T) {
	if !alone(t, "GOMAXPROCS=1") {
		return
	}
	const delay = 20 * time.Millisecond
	for _, ran := range []time.Duration{0, 15 * time.Millisecond, 20 * time.Millisecond, 25 * time.Millisecond} {
		loop, record := newRecorded(t)
		wake := make(chan bool, 1) // sending does not wait for the helper
		var helper sync.WaitGroup
		helper.Go(func() {
			<-wake
			record.clock.Advance(ran)
		})
		fired := false
		loop.AfterFunc(delay, func() { fired = true })
		loop.Post(func() {
			loop.Yielding()
			wake <- true
		})
		must(t, loop.Poll(-1)) // the post
		must(t, loop.Poll(-1))
		last := record.timeouts[len(record.timeouts)-1]
		if want := max(delay-ran, 0); last != want || !fired {
			t.Errorf("goroutines ran for %v: the last wait was for up to %v, want %v; fired: %v", ran, last, want, fired)
		}
		helper.Wait()
	}
}

// TestLoopYieldsOnceASlice: on one CPU, also when no callback has woken a goroutine, so that the runtime need not take the processor.
func TestLoopYieldsOnceASlice(t *testing.T) {
	loop, _ := newRecorded(t)
	loop.YieldInSlices()
	var yielded []time.Duration
	count := 0
	ticker := loop.Every(time.Millisecond, time.Millisecond, func() {
		count++
		if at := loop.Yielded(); len(yielded) == 0 || yielded[len(yielded)-1] != at {
			yielded = append(yielded, at)
		}
	})
	for count < 30 {
		must(t, loop.Poll(-1))
	}
	if want := []time.Duration{0, 8 * time.Millisecond, 16 * time.Millisecond, 24 * time.Millisecond}; !slices.Equal(yielded, want) {
		t.Errorf("yielded at %v, want %v", yielded, want)
	}
	ticker.Stop()
}

// TestOneWokenGoroutineRunsInTheIterationThatWokeIt, if there is nothing else to do; else the poller, or the work, comes first.
func TestOneWokenGoroutineRunsInTheIterationThatWokeIt(t *testing.T) {
	const forever = -1
	for _, c := range []struct {
		name    string
		ready   int // descriptors
		woken   int // goroutines, by the first
		timeout time.Duration
		also    func(loop *reactor.Loop) // what the first does beside
		want    uint                     // woken, and not allowed to run
	}{
		{"one", 1, 1, forever, nil, 0},
		{"in time", 1, 1, time.Hour, nil, 0},
		{"none", 1, 0, forever, nil, 0},
		{"two goroutines", 1, 2, forever, nil, 2},
		{"two descriptors", 2, 1, forever, nil, 1},
		{"without waiting", 1, 1, 0, nil, 1},
		{"a post", 1, 1, forever, func(loop *reactor.Loop) { loop.Post(func() {}) }, 1},
		{"idle work", 1, 1, forever, func(loop *reactor.Loop) {
			var idle *reactor.Hook
			idle = loop.OnIdle(func() { idle.Stop() })
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			loop, record := newRecorded(t)
			for fd := range c.ready {
				w := watch(t, loop, 3+fd, reactor.Read, func(reactor.Ready) {
					record.Clear(3+fd, reactor.Read)
					if fd > 0 {
						return
					}
					for range c.woken {
						loop.Yielding()
					}
					if c.also != nil {
						c.also(loop)
					}
				})
				defer w.Stop()
				record.SetReady(3+fd, reactor.Read)
			}
			must(t, loop.Poll(c.timeout))
			if n := loop.Woken(); n != c.want {
				t.Errorf("%d of %d goroutines wait for their turn, want %d", n, c.woken, c.want)
			}
			pollTimes(t, loop, 2)
		})
	}
}

// TestPostOfAWokenGoroutineNeedsNoIterationOfItsOwn, and sees the time that has passed while the goroutine ran.
func TestPostOfAWokenGoroutineNeedsNoIterationOfItsOwn(t *testing.T) {
	if !alone(t, "GOMAXPROCS=1") {
		return
	}
	loop, record := newRecorded(t)
	const rounds, ran = 1000, time.Millisecond
	wake := make(chan int, 1)
	var began time.Time
	var iteration uint64
	round, same := 0, 0
	answer := func(to int) {
		if to == round && loop.Stats().Iterations == iteration && loop.Now().Sub(began) == ran {
			same++
		}
	}
	var helper sync.WaitGroup
	helper.Go(func() {
		for to := range wake {
			record.clock.Advance(ran)
			loop.Post(func() { answer(to) })
		}
	})
	w := watch(t, loop, 3, reactor.Read, func(reactor.Ready) {
		round++
		began, iteration = loop.Now(), loop.Stats().Iterations
		loop.Yielding()
		wake <- round
	})
	record.SetReady(3, reactor.Read)
	for range rounds {
		must(t, loop.Poll(time.Nanosecond))
	}
	must(t, w.Stop())
	close(wake)
	helper.Wait()
	pollTimes(t, loop, 1) // the last post, if it was late
	// Some are late, or so early that nobody had to let them run: the garbage collector and the runtime's monitor have
	// reasons of their own.
	if same < rounds/2 {
		t.Errorf("%d of %d posts ran in the iteration that woke their goroutine, and knew the time", same, rounds)
	}
}
