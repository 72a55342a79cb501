package reactor_test

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// raise sends a signal to this process.
func raise(t testing.TB, sig syscall.Signal) {
	t.Helper()
	must(t, unix.Kill(unix.Getpid(), sig))
}

// watchSignal watches a signal until the end of the test.
func watchSignal(t testing.TB, loop *reactor.Loop, sig os.Signal, fn func()) *reactor.SignalWatcher {
	t.Helper()
	s, err := loop.WatchSignal(sig, fn)
	must(t, err)
	t.Cleanup(s.Stop)
	return s
}

// arrivals tells that a signal has arrived, beside what the loop says of it.
func arrivals(t testing.TB, sig os.Signal) <-chan os.Signal {
	t.Helper()
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, sig)
	t.Cleanup(func() { signal.Stop(arrived) })
	return arrived
}

func TestSignalIsReported(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	s := watchSignal(t, loop, syscall.SIGUSR1, func() { calls++ })
	for i := 1; i <= 3; i++ {
		raise(t, syscall.SIGUSR1)
		pollUntil(t, loop, func() bool { return calls == i })
	}
	if s.Count() != 3 || s.Signal() != syscall.SIGUSR1 {
		t.Errorf("count %d of %v", s.Count(), s.Signal())
	}
}

func TestSignalWakesABlockedLoopAndKeepsRun(t *testing.T) {
	loop := newLoop(t)
	var s *reactor.SignalWatcher
	s = watchSignal(t, loop, syscall.SIGUSR1, func() { s.Stop() })
	loop.AfterFunc(0, func() { raise(t, syscall.SIGUSR1) })
	run(t, loop)
	if s.Count() == 0 {
		t.Error("not called")
	}
}

func TestSignalBeforeRunIsReported(t *testing.T) {
	loop := newLoop(t)
	arrived := arrivals(t, syscall.SIGUSR1)
	calls := 0
	var s *reactor.SignalWatcher
	s = watchSignal(t, loop, syscall.SIGUSR1, func() { calls++; s.Stop() })
	raise(t, syscall.SIGUSR1)
	<-arrived
	run(t, loop)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

// TestStormOfSignalsIsJoinedAndItsLastIsNotLost: there is at most one call per
// iteration, and one after the last signal.
func TestStormOfSignalsIsJoinedAndItsLastIsNotLost(t *testing.T) {
	loop := newLoop(t)
	const count = 10_000
	sent, seen, calls := false, false, uint64(0)
	s := watchSignal(t, loop, syscall.SIGUSR1, func() {
		calls++
		seen = sent
	})
	other := 0
	watchSignal(t, loop, syscall.SIGUSR2, func() { other++ })
	before := loop.Stats().Iterations
	raise(t, syscall.SIGUSR2) // must get through
	for range count {
		raise(t, syscall.SIGUSR1)
	}
	pollUntil(t, loop, func() bool { return calls > 0 && other == 1 })
	sent = true
	raise(t, syscall.SIGUSR1)
	pollUntil(t, loop, func() bool { return seen })
	if turns := loop.Stats().Iterations - before; calls > turns || calls > s.Count() || s.Count() > count+1 {
		t.Errorf("%d calls in %d iterations, %d of %d signals seen", calls, turns, s.Count(), count+1)
	}
}

func TestSignalReachesEveryWatcherOfEveryLoop(t *testing.T) {
	loops := []*reactor.Loop{newLoop(t), newLoop(t)}
	calls := make([]int, 4)
	for i := range calls {
		watchSignal(t, loops[i/2], syscall.SIGUSR1, func() { calls[i]++ })
	}
	raise(t, syscall.SIGUSR1)
	for i := range calls {
		pollUntil(t, loops[i/2], func() bool { return calls[i] == 1 })
	}
}

func TestStopInsideOwnSignalCallback(t *testing.T) {
	loop := newLoop(t)
	arrived := arrivals(t, syscall.SIGUSR1)
	calls := 0
	var s *reactor.SignalWatcher
	s = watchSignal(t, loop, syscall.SIGUSR1, func() {
		calls++
		s.Stop()
		s.Stop() // harmless
	})
	loop.FeedSignal(syscall.SIGUSR1)
	pollTimes(t, loop, 1)
	raise(t, syscall.SIGUSR1)
	<-arrived
	pollTimes(t, loop, 3)
	if calls != 1 || s.Active() {
		t.Errorf("called %d times, active %v", calls, s.Active())
	}
	must(t, s.Start())
	raise(t, syscall.SIGUSR1)
	pollUntil(t, loop, func() bool { return calls == 2 })
}

func TestSignalWatcherStoppedInTheSameBatchIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	var second *reactor.SignalWatcher
	calls := 0
	watchSignal(t, loop, syscall.SIGUSR1, func() { calls++; second.Stop() })
	second = watchSignal(t, loop, syscall.SIGUSR1, func() { t.Error("called") })
	raise(t, syscall.SIGUSR1)
	pollUntil(t, loop, func() bool { return calls == 1 })
	pollTimes(t, loop, 2)
	if second.Pending() {
		t.Error("pending after Stop")
	}
}

func TestSignalWatchersAreCalledByPriority(t *testing.T) {
	loop := newLoop(t)
	var got []int
	for _, priority := range []int{reactor.MinPriority, 0, reactor.MaxPriority} {
		s := watchSignal(t, loop, syscall.SIGUSR1, func() { got = append(got, priority) })
		must(t, s.SetPriority(priority))
	}
	raise(t, syscall.SIGUSR1)
	pollUntil(t, loop, func() bool { return len(got) == 3 })
	if got[0] != reactor.MaxPriority || got[2] != reactor.MinPriority {
		t.Errorf("called in the order %v", got)
	}
}

func TestFedSignalIsReportedInTheNextIteration(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	a := watchSignal(t, loop, syscall.SIGUSR1, func() { calls++ })
	watchSignal(t, loop, syscall.SIGUSR1, func() { calls++ })
	loop.FeedSignal(syscall.SIGUSR1)
	loop.FeedSignal(syscall.SIGUSR2) // nobody's
	if calls != 0 {
		t.Error("called inside FeedSignal")
	}
	pollTimes(t, loop, 1)
	must(t, a.Feed())
	pollTimes(t, loop, 1)
	if calls != 3 || a.Count() != 2 {
		t.Errorf("%d calls, counted %d", calls, a.Count())
	}
	a.Stop()
	wantErr(t, a.Feed(), reactor.ErrNotActive)
}

func TestSignalsThatCannotBeCaughtAreRefused(t *testing.T) {
	loop := newLoop(t)
	for _, sig := range []os.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.Signal(0), syscall.Signal(-1), syscall.Signal(65), nil, strangeSignal{}} {
		s, err := loop.WatchSignal(sig, func() { t.Error("called") })
		if wantErr(t, err, reactor.ErrInvalid); s != nil {
			t.Errorf("%v: got a watcher", sig)
		}
		loop.FeedSignal(sig) // harmless
	}
}

type strangeSignal struct{}

func (strangeSignal) Signal()        {}
func (strangeSignal) String() string { return "strange" }

func TestUnreferencedSignalWatcherDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	watchSignal(t, loop, syscall.SIGUSR1, func() { calls++ }).Unref()
	run(t, loop)
	raise(t, syscall.SIGUSR1)
	pollUntil(t, loop, func() bool { return calls == 1 })
}

// TestCloseEndsSignalWatchers: the loop's leak check sees to the goroutines.
func TestCloseEndsSignalWatchers(t *testing.T) {
	loop := newLoop(t)
	arrived := arrivals(t, syscall.SIGUSR1)
	var all []*reactor.SignalWatcher
	for range 3 {
		all = append(all, watchSignal(t, loop, syscall.SIGUSR1, func() { t.Error("called") }))
	}
	must(t, loop.Close())
	for _, s := range all {
		if s.Active() {
			t.Error("active after Close")
		}
		wantErr(t, s.Start(), reactor.ErrClosed)
	}
	raise(t, syscall.SIGUSR1)
	<-arrived
	_, err := loop.WatchSignal(syscall.SIGUSR1, func() {})
	wantErr(t, err, reactor.ErrClosed)
}

// TestDefaultEffectReturnsWithTheLastWatcher needs a process of its own, which
// the signal ends.
func TestDefaultEffectReturnsWithTheLastWatcher(t *testing.T) {
	for how, end := range map[string]func(*reactor.Loop, *reactor.SignalWatcher){
		"stop":  func(_ *reactor.Loop, s *reactor.SignalWatcher) { s.Stop() },
		"close": func(l *reactor.Loop, _ *reactor.SignalWatcher) { must(t, l.Close()) },
	} {
		t.Run(how, func(t *testing.T) {
			if os.Getenv(envAlone) == t.Name() {
				dieOf(t, syscall.SIGTERM, end)
			}
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			defer cancel()
			cmd := aloneCommand(ctx, t, nil)
			out, err := cmd.CombinedOutput()
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
				t.Errorf("ended with %v, want SIGTERM; it said %s", err, out)
			}
		})
	}
}

// dieOf watches the signal, which then does no harm, and sends it again after the end.
func dieOf(t *testing.T, sig syscall.Signal, end func(*reactor.Loop, *reactor.SignalWatcher)) {
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	calls := 0
	s, err := loop.WatchSignal(sig, func() { calls++ })
	must(t, err)
	raise(t, sig)
	pollUntil(t, loop, func() bool { return calls == 1 })
	verify(t, loop)
	end(loop, s)
	verify(t, loop)
	raise(t, sig)
	select {} // until it arrives
}

// TestSignalsRacingStartAndStop looks for lost wake-ups and for goroutines that
// outlive their source.
func TestSignalsRacingStartAndStop(t *testing.T) {
	loop := newLoop(t)
	arrivals(t, syscall.SIGUSR1)
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Kill(unix.Getpid(), syscall.SIGUSR1); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(20 * time.Microsecond) // or, with one CPU, signals are all that is handled
			}
		}
	})
	for range 50 {
		calls := 0
		s, err := loop.WatchSignal(syscall.SIGUSR1, func() { calls++ })
		must(t, err)
		pollUntil(t, loop, func() bool { return calls > 0 })
		s.Stop()
	}
	close(stop)
	sender.Wait()
}
