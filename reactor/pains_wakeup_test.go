package reactor_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestEveryPostWakesALoopThatSleepsAtRandom: producers post bursts of any size
// and wait for the last of a burst, so the loop runs dry, and falls asleep, at
// every point of their protocol. One lost wake-up hangs the test, one lost or
// doubled post is counted.
func TestEveryPostWakesALoopThatSleepsAtRandom(t *testing.T) {
	loop := newLoop(t)
	const producers = 4
	each := postsEach() / 4
	ran := make([][]uint8, producers)
	var group sync.WaitGroup
	for id := range producers {
		ran[id] = make([]uint8, each)
		release := loop.Hold()
		rnd := rand.New(rand.NewPCG(uint64(id), 0))
		group.Go(func() {
			defer release()
			last := make(chan bool)
			post := func(fn func()) {
				if err := loop.Post(fn); err != nil {
					t.Error(err)
				}
			}
			for i := 0; i < each; {
				for burst := rnd.IntN(100); burst > 0 && i < each-1; burst-- {
					n := i
					post(func() { ran[id][n]++ })
					i++
				}
				n := i
				post(func() { ran[id][n]++; go func() { last <- true }() })
				i++
				<-last
			}
		})
	}
	run(t, loop)
	group.Wait()
	for id := range ran {
		for i, n := range ran[id] {
			if n != 1 {
				t.Fatalf("producer %d: post %d ran %d times", id, i, n)
			}
		}
	}
	if s := loop.Stats(); s.Blocked == 0 || s.Wakes == 0 {
		t.Errorf("blocked %d times, woken %d times: nothing was tested", s.Blocked, s.Wakes)
	}
}

// TestPostAtAnyMomentOfFallingAsleepWakes: one producer posts, a random moment after
// its last post has run, so that it meets the loop at every point on its way to
// sleep. Nobody else would wake the loop: it would sleep until the test gives up.
func TestPostAtAnyMomentOfFallingAsleepWakes(t *testing.T) {
	loop := newLoop(t)
	rounds := 2000
	release := loop.Hold()
	var ran atomic.Int64
	post := func() { ran.Add(1) }
	var producer sync.WaitGroup
	producer.Go(func() {
		defer release()
		rnd := rand.New(rand.NewPCG(5, 6))
		for round := range rounds {
			for ran.Load() != int64(round) {
				runtime.Gosched()
			}
			for delay := rnd.IntN(500); delay > 0; delay-- {
				ran.Load() // a nanosecond or so
			}
			if err := loop.Post(post); err != nil {
				t.Error(err)
			}
		}
	})
	run(t, loop)
	producer.Wait()
	run(t, loop)
	if n := ran.Load(); n != int64(rounds) {
		t.Errorf("%d of %d posts ran", n, rounds)
	}
}

// TestPostRacingCloseNeverWritesToAReusedDescriptor: while producers post, the
// loop is closed, and the numbers of its descriptors are given out again at once.
// A late wake-up would be written into one of them.
func TestPostRacingCloseNeverWritesToAReusedDescriptor(t *testing.T) {
	newLoop(t) // the leak check, over all rounds
	for range 50 {
		loop, err := reactor.New(reactor.Config{})
		must(t, err)
		var refused atomic.Int32
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				for loop.Post(func() {}) == nil {
				}
				refused.Add(1)
			})
		}
		for range 20 {
			must(t, loop.Poll(0)) // each leaves the loop in want of a wake-up
		}
		verify(t, loop)
		must(t, loop.Close())
		var ends []int
		for range 4 { // sockets: both ends of each can be written to
			a, b := fdtest.Socketpair(t)
			ends = append(ends, a, b)
		}
		group.Wait()
		for _, fd := range ends {
			if fdtest.Readable(t, fd) {
				t.Errorf("something was written to the other side of fd %d", fd)
			}
		}
		for _, fd := range ends {
			unix.Close(fd)
		}
		verify(t, loop)
		if refused.Load() != 3 {
			t.Errorf("%d of 3 producers were refused in the end", refused.Load())
		}
	}
}
