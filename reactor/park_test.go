package reactor_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// newParkable makes a loop that RunParked can run.
func newParkable(t *testing.T) *reactor.Loop {
	t.Helper()
	loop := newLoop(t)
	if err := loop.RunParked(context.Background()); errors.Is(err, reactor.ErrUnsupported) {
		t.Skip("Go's netpoller cannot wait for this poller:", err)
	} else {
		must(t, err)
	}
	return loop
}

// runParked runs the loop until nothing is left or it is stopped.
func runParked(t testing.TB, loop *reactor.Loop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	must(t, loop.RunParked(ctx))
}

func TestRunParkedReturnsWhenNothingIsLeft(t *testing.T) {
	loop := newParkable(t)
	order := ""
	loop.AfterFunc(0, func() { order += "a" })
	loop.AfterFunc(time.Millisecond, func() { order += "b" })
	loop.AfterFunc(2*time.Millisecond, func() { order += "c" })
	runParked(t, loop)
	runParked(t, loop)
	if order != "abc" {
		t.Errorf("timers fired in the order %q", order)
	}
}

func TestRunParkedHonoursAnEarlierStopOnce(t *testing.T) {
	loop := newParkable(t)
	fired := false
	loop.AfterFunc(0, func() { fired = true })
	loop.Stop()
	runParked(t, loop)
	if fired {
		t.Error("the first run did not return at once")
	}
	runParked(t, loop)
	if !fired {
		t.Error("the second run did")
	}
}

// TestParkedLoopIsWokenFromOtherGoroutines would block for ever if one wake-up
// were lost: nothing else ends these runs.
func TestParkedLoopIsWokenFromOtherGoroutines(t *testing.T) {
	for name, round := range map[string]func(t *testing.T, loop *reactor.Loop, wake func(func())){
		"Stop": func(t *testing.T, loop *reactor.Loop, wake func(func())) {
			defer loop.Hold()()
			wake(loop.Stop)
			must(t, loop.RunParked(context.Background()))
		},
		"release": func(t *testing.T, loop *reactor.Loop, wake func(func())) {
			wake(loop.Hold())
			must(t, loop.RunParked(context.Background()))
		},
		"context": func(t *testing.T, loop *reactor.Loop, wake func(func())) {
			defer loop.Hold()()
			ctx, cancel := context.WithCancel(context.Background())
			wake(cancel)
			wantErr(t, loop.RunParked(ctx), context.Canceled)
		},
		"Post": func(t *testing.T, loop *reactor.Loop, wake func(func())) {
			release := loop.Hold()
			wake(func() { loop.Post(release) })
			must(t, loop.RunParked(context.Background()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			loop := newParkable(t)
			var waker sync.WaitGroup
			for range 300 {
				round(t, loop, func(fn func()) { waker.Go(fn) })
				waker.Wait()
			}
		})
	}
}

// TestParkedLoopSeesEveryByte goes to and fro with another goroutine, so that each
// byte comes while the loop parks, or is about to.
func TestParkedLoopSeesEveryByte(t *testing.T) {
	loop := newParkable(t)
	ours, theirs := fdtest.Pipes(t)
	defer theirs.Close()
	const rounds = 2000
	count := 0
	var s *reactor.Stream
	s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
		OnData: func(data []byte) {
			if count += len(data); count == rounds {
				s.Close()
				return
			}
			s.Write(data)
		},
	})
	must(t, err)
	var echo sync.WaitGroup
	echo.Go(func() {
		var buf [1]byte
		for {
			theirs.Send(t, []byte("x"))
			if count := theirs.Receive(t, buf[:]); count == 0 {
				return
			}
		}
	})
	runParked(t, loop)
	echo.Wait()
	if count != rounds {
		t.Errorf("%d of %d bytes came", count, rounds)
	}
}

// TestParkedWatcherIsLevelTriggered though Go's netpoller is not.
func TestParkedWatcherIsLevelTriggered(t *testing.T) {
	loop := newParkable(t)
	p := pipe(t)
	const count = 100
	p.Send(t, make([]byte, count))
	left := count
	var w *reactor.FDWatcher
	w = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {
		if left -= p.Receive(t, make([]byte, 1)); left == 0 {
			w.Stop()
		}
	})
	runParked(t, loop)
}

// TestParkedLoopDoesWhatIsPending: an idle hook, a fed watcher and a queued write
// keep it from parking.
func TestParkedLoopDoesWhatIsPending(t *testing.T) {
	loop := newParkable(t)
	p := pipe(t)
	s, err := loop.NewStream(-1, fdtest.Dup(t, p.Write), reactor.StreamConfig{})
	must(t, err)
	must(t, s.Write([]byte("x")))
	must(t, loop.AfterFunc(time.Hour, func() {}).Feed())
	idle := 0
	var hook *reactor.Hook
	hook = loop.OnIdle(func() {
		if idle++; idle == 3 {
			hook.Stop()
		}
	})
	runParked(t, loop)
	if !fdtest.Readable(t, p.Read) || idle != 3 {
		t.Errorf("written %v, %d idle calls", fdtest.Readable(t, p.Read), idle)
	}
	if n := loop.Stats().Blocked; n != 0 {
		t.Errorf("waited %d times", n)
	}
}

func TestParkedTimersAreNeverEarly(t *testing.T) {
	loop := newParkable(t)
	for _, d := range []time.Duration{1, time.Microsecond, 100 * time.Microsecond, time.Millisecond + 1, 5 * time.Millisecond} {
		start := time.Now()
		loop.AfterFunc(d, func() {
			if late := time.Since(start) - d; late < 0 {
				t.Errorf("the timer of %v was %v early", d, -late)
			}
		})
		runParked(t, loop)
	}
}

// TestParkedDeadlineDoesNotOutliveItsTimer: what is left of one wait's deadline
// must neither end a later wait, nor be taken for its end.
func TestParkedDeadlineDoesNotOutliveItsTimer(t *testing.T) {
	loop := newParkable(t)
	loop.AfterFunc(time.Millisecond, func() {})
	far := loop.AfterFunc(math.MaxInt64, func() {})
	release := loop.Hold()
	loop.AfterFunc(2*time.Millisecond, far.Stop)
	before := loop.Stats()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	wantErr(t, loop.RunParked(ctx), context.DeadlineExceeded)
	release()
	// Two timers, perhaps a spurious return each, and the context.
	if n := loop.Stats().Iterations - before.Iterations; n > 10 {
		t.Errorf("%d iterations", n)
	}
}

// TestParkedLoopDoesNotSpin counts what the loop did for each post.
func TestParkedLoopDoesNotSpin(t *testing.T) {
	loop := newParkable(t)
	p := readyPipe(t) // ready for nobody: it is not watched for reading
	watch(t, loop, p.Write, reactor.HangUp, func(reactor.Ready) { t.Error("called") }).Unref()
	const count = 500
	before := loop.Stats()
	release := loop.Hold()
	var poster sync.WaitGroup
	poster.Go(func() {
		defer release()
		for range count {
			loop.Do(context.Background(), func() {})
		}
	})
	runParked(t, loop)
	poster.Wait()
	after := loop.Stats()
	if n := after.Iterations - before.Iterations; n > 3*count {
		t.Errorf("%d iterations for %d posts", n, count)
	}
	if n := after.Waits - before.Waits; n > 12*count {
		t.Errorf("%d system calls for %d posts", n, count)
	}
}

// TestParkedWaitAllocatesNothing counts what the whole process allocates from one
// timer to another, with two hundred waits in between.
func TestParkedWaitAllocatesNothing(t *testing.T) {
	loop := newParkable(t)
	var before, after runtime.MemStats
	count := 0
	var tick *reactor.Timer
	tick = loop.Every(0, 50*time.Microsecond, func() {
		switch count++; count {
		case 50: // everything is warm
			runtime.ReadMemStats(&before)
		case 250:
			runtime.ReadMemStats(&after)
			tick.Stop()
		}
	})
	runParked(t, loop)
	if n := after.Mallocs - before.Mallocs; n > 50 {
		t.Errorf("%d allocations in 200 waits", n)
	}
}

func TestRunParkedIsRefusedWhereRunIs(t *testing.T) {
	loop := newParkable(t)
	ctx := context.Background()
	called := 0
	loop.AfterFunc(0, func() { called++; wantErr(t, loop.RunParked(ctx), reactor.ErrNested) })
	run(t, loop)
	loop.AfterFunc(0, func() {
		called++
		wantErr(t, loop.Run(ctx), reactor.ErrNested)
		wantErr(t, loop.RunParked(ctx), reactor.ErrNested)
	})
	runParked(t, loop)
	if called != 2 {
		t.Errorf("%d of 2 callbacks ran", called)
	}
	must(t, loop.Close())
	wantErr(t, loop.RunParked(ctx), reactor.ErrClosed)
}

func TestPanicLeavesRunParkedAndNothingBehind(t *testing.T) {
	loop := newParkable(t)
	loop.AfterFunc(time.Millisecond, func() { panic("expected") })
	func() {
		defer func() {
			if recover() != "expected" {
				t.Error("the panic did not leave RunParked")
			}
		}()
		loop.RunParked(context.Background())
	}()
	wantErr(t, loop.RunParked(context.Background()), reactor.ErrClosed)
}

func TestRunParkedWithoutADescriptorIsUnsupported(t *testing.T) {
	sim := reactortest.New(t, reactor.Config{})
	called := false
	sim.Loop.AfterFunc(0, func() { called = true })
	wantErr(t, sim.Loop.RunParked(context.Background()), reactor.ErrUnsupported)
	if called {
		t.Error("a callback was made")
	}
	sim.Run() // as usual
	if !called {
		t.Error("no callback was made afterwards")
	}
}

func TestManyLoopsParkedAtOnce(t *testing.T) {
	const count = 50
	loops := make([]*reactor.Loop, count)
	turns := 0 // of the token, which is at one loop at a time
	var all sync.WaitGroup
	for i := range loops {
		loops[i] = newParkable(t)
	}
	stopAll := func() {
		for _, l := range loops {
			l.Stop()
		}
	}
	var pass func(to int)
	pass = func(to int) {
		loops[to].Post(func() {
			if turns++; turns < 10*count {
				pass((to + 1) % count)
				return
			}
			stopAll()
		})
	}
	for _, l := range loops {
		defer l.Hold()()
		all.Go(func() {
			if err := l.RunParked(context.Background()); err != nil {
				t.Error(err)
				stopAll() // where the token comes to this one, it stays
			}
		})
	}
	pass(0)
	all.Wait()
	if turns != 10*count {
		t.Errorf("%d turns", turns)
	}
}
