package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/evfork/evfork/reactor"
)

// The timers of cloop/timers.h on this project's loop, and on Go's runtime.

const nameAfterFunc = "time.AfterFunc"

// manyTimers is what a contestant of the timer scenarios can do. The index says
// which of the timers; a timer is made by its first start.
type manyTimers interface {
	open(count int) error
	start(i int, delay time.Duration)
	stop(i int)
	reset(i int, delay time.Duration)
	// firedAll lets the loop run, or waits, until all have fired.
	firedAll() error
	// firedSoFar is how many have fired on their own, without firedAll.
	firedSoFar() int
}

func addTimers(r *Registry) {
	for _, s := range timerScenarios {
		enter := func(name string, open func() manyTimers) {
			r.Enter(s.id, Contestant{Name: name, Calls: timerCount, GoParent: true, Run: timerRun(s.what, open)})
		}
		enter(nameEvfork, func() manyTimers { return &evforkTimers{} })
		if s.what == "start" {
			enter(nameEvfork+", made before", func() manyTimers { return &evforkTimers{made: true} })
			enter(nameAfterFunc+", made before", func() manyTimers { return &runtimeTimers{made: true} })
		}
		enter(nameAfterFunc, func() manyTimers { return &runtimeTimers{} })
	}
}

// timerRun is the sample: what is to be done before the clock starts, and what
// under it.
func timerRun(what string, open func() manyTimers) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		t, count := open(), s.Calls
		if err := t.open(count); err != nil {
			return Result{}, err
		}
		runtime.GC()
		switch what {
		case "start":
			return perTimer(count, func() { startFar(t, count) })
		case "stop":
			startFar(t, count)
			return perTimer(count, func() {
				for i := range count {
					t.stop(i)
				}
			})
		case "reset":
			startFar(t, count)
			random := newDelays()
			return perTimer(count, func() {
				for range count {
					t.reset(random.index(count), random.far())
				}
			})
		case "fire-spread":
			return fireTimers(t, count, newDelays().within, time.Second)
		case "fire-once":
			const delay = 200 * time.Millisecond
			return fireTimers(t, count, func() time.Duration { return delay }, delay)
		}
		return Result{}, fmt.Errorf("no timer workload %q", what)
	}
}

// delays are random: a 64-bit xorshift generator, the same as in cloop.h,
// because drawing a number must not cost one contestant more than another.
type delays uint64

func newDelays() *delays {
	d := delays(88172645463325252)
	return &d
}

func (d *delays) next() uint64 {
	x := uint64(*d)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*d = delays(x)
	return x >> 11
}

// within is uniform over a second.
func (d *delays) within() time.Duration {
	return time.Duration(float64(d.next()) * (float64(time.Second) / (1 << 53)))
}

func (d *delays) far() time.Duration { return time.Hour + d.within() }

func (d *delays) index(count int) int { return int(d.next() % uint64(count)) }

func startFar(t manyTimers, count int) {
	random := newDelays()
	for i := range count {
		t.start(i, random.far())
	}
}

// perTimer adds what was allocated meanwhile.
func perTimer(count int, work func()) (Result, error) {
	before := ownAllocations()
	took, err := timeLap(func() error { work(); return nil })
	allocated := ownAllocations().since(before)
	result := took.per(count).result()
	result.Extra[timerAllocs] = float64(allocated.mallocs) / float64(count)
	result.Extra["B/timer"] = float64(allocated.bytes) / float64(count)
	return result, err
}

// fireTimers lets all of them become due before the loop may look. Timers that
// fire on their own do so while this waits: hence only CPU time counts.
func fireTimers(t manyTimers, count int, delay func() time.Duration, longest time.Duration) (Result, error) {
	for i := range count {
		t.start(i, delay())
	}
	due := time.Now().Add(longest + 10*time.Millisecond)
	early := t.firedSoFar()
	took, err := timeLap(func() error {
		time.Sleep(time.Until(due))
		return t.firedAll()
	})
	return Result{Value: took.per(max(count-early, 1)).cpu}, err
}

type evforkTimers struct {
	loop   *reactor.Loop
	made   bool // by open, as in C: a start only makes room in the loop
	timers []*reactor.Timer
	fired  int
	fire   func()
}

func (t *evforkTimers) open(count int) (err error) {
	t.loop, err = reactor.New(reactor.Config{})
	t.timers = make([]*reactor.Timer, count)
	t.fire = func() { t.fired++ }
	if err == nil && t.made {
		all := make([]reactor.Timer, count)
		for i := range all {
			t.loop.InitTimer(&all[i], t.fire)
			t.timers[i] = &all[i]
		}
	}
	return err
}

// startAndStop makes all of them at once; the runtime has no other way.
func startAndStop(t manyTimers, count int) {
	startFar(t, count)
	for i := range count {
		t.stop(i)
	}
}

func (t *evforkTimers) start(i int, delay time.Duration) {
	if timer := t.timers[i]; timer != nil {
		timer.Reset(delay)
		return
	}
	t.timers[i] = t.loop.AfterFunc(delay, t.fire)
}

func (t *evforkTimers) stop(i int)                       { t.timers[i].Stop() }
func (t *evforkTimers) reset(i int, delay time.Duration) { t.timers[i].Reset(delay) }
func (t *evforkTimers) firedSoFar() int                  { return t.fired }

func (t *evforkTimers) firedAll() error {
	for t.fired < len(t.timers) {
		if err := t.loop.Poll(0); err != nil {
			return err
		}
	}
	return nil
}

// runtimeTimers are Go's, each firing on a goroutine of its own.
type runtimeTimers struct {
	made   bool
	timers []*time.Timer
	fired  atomic.Int64
	fire   func()
	all    chan struct{}
}

func (t *runtimeTimers) open(count int) error {
	t.timers = make([]*time.Timer, count)
	t.all = make(chan struct{})
	t.fire = func() {
		if t.fired.Add(1) == int64(count) {
			close(t.all)
		}
	}
	if t.made {
		startAndStop(t, count)
	}
	return nil
}

func (t *runtimeTimers) start(i int, delay time.Duration) {
	if timer := t.timers[i]; timer != nil {
		timer.Reset(delay)
		return
	}
	t.timers[i] = time.AfterFunc(delay, t.fire)
}

func (t *runtimeTimers) stop(i int)                       { t.timers[i].Stop() }
func (t *runtimeTimers) reset(i int, delay time.Duration) { t.timers[i].Reset(delay) }
func (t *runtimeTimers) firedSoFar() int                  { return int(t.fired.Load()) }

func (t *runtimeTimers) firedAll() error {
	<-t.all
	return nil
}
