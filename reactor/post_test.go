package reactor_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// postsEach is how many posts each of the producers makes.
func postsEach() int {
	if testing.Short() || raceEnabled {
		return 10_000
	}
	return 200_000
}

func TestNoPostIsLostAndEachGoroutinesOrderIsKept(t *testing.T) {
	const producers = 4
	loop := newLoop(t)
	each := postsEach()
	var next [producers]int
	var group sync.WaitGroup
	for id := range producers {
		release := loop.Hold()
		group.Go(func() {
			defer release()
			for i := range each {
				err := loop.Post(func() {
					if next[id] != i {
						t.Errorf("producer %d: post %d ran in place %d", id, i, next[id])
					}
					next[id]++
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	run(t, loop)
	group.Wait()
	run(t, loop) // what was posted between the last release and its end
	for id, n := range next {
		if n != each {
			t.Errorf("producer %d: %d of %d posts ran", id, n, each)
		}
	}
}

// TestLastPostAlwaysWakesABlockedLoop hangs if one wake-up is lost.
func TestLastPostAlwaysWakesABlockedLoop(t *testing.T) {
	loop := newLoop(t)
	release := loop.Hold()
	var poster sync.WaitGroup
	poster.Go(func() {
		defer release()
		answer := make(chan bool)
		for range 2000 {
			loop.Post(func() { go func() { answer <- true }() })
			<-answer
		}
	})
	run(t, loop)
	poster.Wait()
}

func TestPostNeverRunsInsidePost(t *testing.T) {
	loop := newLoop(t)
	ran := 0
	loop.Post(func() {
		before := ran
		loop.Post(func() { ran++ })
		if ran != before {
			t.Error("ran inside Post")
		}
	})
	if ran != 0 {
		t.Error("ran inside Post")
	}
	run(t, loop)
	if ran != 1 {
		t.Errorf("ran %d times", ran)
	}
}

func TestPostFromAPostWaitsForTheNextIteration(t *testing.T) {
	loop := newLoop(t)
	ran, ready := 0, 0
	var again func()
	again = func() { ran++; loop.Post(again) }
	loop.Post(again)
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	pollTimes(t, loop, 10)
	if ran != 10 || ready != 10 {
		t.Errorf("in 10 iterations the post ran %d times, and the watcher %d times", ran, ready)
	}
}

func TestManyPostsDoNotStarveDescriptors(t *testing.T) {
	loop := newLoop(t)
	const count = 10_000
	ran, ready := 0, 0
	for range count {
		loop.Post(func() { ran++ })
	}
	watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) { ready++ })
	pollTimes(t, loop, 1)
	if ran == 0 || ran == count {
		t.Errorf("%d of %d posts ran in the first iteration, want a bounded batch", ran, count)
	}
	for ran < count {
		pollTimes(t, loop, 1)
	}
	if ready < 2 {
		t.Errorf("the watcher was called %d times", ready)
	}
}

// TestPostToAnAwakeLoopMakesNoWakeUp: the waker's descriptor would be readable
// in the loop's set.
func TestPostToAnAwakeLoopMakesNoWakeUp(t *testing.T) {
	loop := newLoop(t)
	fd := loopFD(t, loop)
	loop.AfterFunc(0, func() {
		posted := make(chan bool)
		go func() {
			loop.Post(func() {})
			close(posted)
		}()
		<-posted
		if fdtest.Readable(t, fd) {
			t.Error("the loop was woken while it was awake")
		}
	})
	run(t, loop)
}

// TestPostRacingCloseRunsOrIsRefused: there is no third possibility.
func TestPostRacingCloseRunsOrIsRefused(t *testing.T) {
	for range 10 {
		loop := newLoop(t)
		var accepted, ran atomic.Int64
		var group sync.WaitGroup
		begun := make(chan bool, 4)
		for range cap(begun) {
			group.Go(func() {
				err := loop.Post(func() { ran.Add(1) })
				begun <- true
				for ; err == nil; err = loop.Post(func() { ran.Add(1) }) {
					accepted.Add(1)
				}
				wantErr(t, err, reactor.ErrClosed)
			})
		}
		for range cap(begun) {
			<-begun
		}
		must(t, loop.Poll(0))
		must(t, loop.Close())
		group.Wait()
		if a, r := accepted.Load(), ran.Load(); a != r {
			t.Fatalf("%d posts were accepted, %d ran", a, r)
		}
	}
}

func TestStopAndHoldRacingCloseAreHarmless(t *testing.T) {
	for range 20 {
		loop := newLoop(t)
		var group sync.WaitGroup
		begun := make(chan bool, 2)
		for _, call := range []func(){loop.Stop, func() { loop.Hold()() }} {
			group.Go(func() {
				call()
				begun <- true
				for range 1000 {
					call()
				}
			})
		}
		<-begun
		must(t, loop.Close())
		<-begun
		group.Wait()
	}
}

func TestDoReturnsWhenTheFunctionHasRun(t *testing.T) {
	loop := newLoop(t)
	release := loop.Hold()
	var caller sync.WaitGroup
	caller.Go(func() {
		defer release()
		for i := range 1000 {
			ran := 0
			if err := loop.Do(context.Background(), func() { ran++ }); err != nil || ran != 1 {
				t.Errorf("call %d: ran %d times, %v", i, ran, err)
				return
			}
		}
	})
	run(t, loop)
	caller.Wait()
}

func TestDoGivenUpBeforeItBeganNeverRuns(t *testing.T) {
	loop := newLoop(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantErr(t, loop.Do(ctx, func() { t.Error("it ran") }), context.Canceled)
	pollTimes(t, loop, 2)
}

// TestDoGivenUpWhileItRunsReturnsAfterIt: its caller may use what it wrote.
func TestDoGivenUpWhileItRunsReturnsAfterIt(t *testing.T) {
	loop := newLoop(t)
	release := loop.Hold()
	ctx, cancel := context.WithCancel(context.Background())
	var caller sync.WaitGroup
	caller.Go(func() {
		defer release()
		ran := false
		err := loop.Do(ctx, func() {
			cancel()
			busyUntil(time.Now().Add(time.Millisecond))
			ran = true
		})
		if !ran || err != nil {
			t.Errorf("ran %v, %v", ran, err)
		}
	})
	run(t, loop)
	caller.Wait()
}

// TestDoRacingItsContextAgreesWithWhatHappened: nil if it ran, else the
// context's error.
func TestDoRacingItsContextAgreesWithWhatHappened(t *testing.T) {
	loop := newLoop(t)
	release := loop.Hold()
	var caller sync.WaitGroup
	caller.Go(func() {
		defer release()
		for range 500 {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			ran := false
			err := loop.Do(ctx, func() { ran = true })
			switch {
			case err == nil && !ran:
				t.Error("it did not run and Do returned nil")
			case err != nil && (ran || !errors.Is(err, context.Canceled)):
				t.Errorf("ran %v, %v", ran, err)
			}
			cancel()
		}
	})
	run(t, loop)
	caller.Wait()
}

func TestDoRacingCloseRunsOrIsRefused(t *testing.T) {
	for range 20 {
		loop := newLoop(t)
		var group sync.WaitGroup
		begun := make(chan bool, 4)
		for range cap(begun) {
			group.Go(func() {
				begun <- true
				ran := false
				err := loop.Do(context.Background(), func() { ran = true })
				if ran != (err == nil) {
					t.Errorf("ran %v, %v", ran, err)
				}
				if err != nil {
					wantErr(t, err, reactor.ErrClosed)
				}
			})
		}
		<-begun
		must(t, loop.Close())
		for range cap(begun) - 1 {
			<-begun
		}
		group.Wait()
	}
}
