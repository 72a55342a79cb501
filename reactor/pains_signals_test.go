package reactor_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestSignalsInterruptNothing: a storm of signals ends waits, reads and writes
// with EINTR, which is nobody's error. Everything arrives, and no timer is early.
func TestSignalsInterruptNothing(t *testing.T) {
	for _, transport := range fdtest.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			loop := newLoop(t)
			var caught atomic.Int32
			storm := signalStorm(&caught)
			defer storm()
			timer := checkTimers(t, loop)
			defer timer.Stop()
			ours, theirs := transport.Open(t)
			defer theirs.Close()
			fdtest.Shrink(t, ours.Write)
			fdtest.Shrink(t, theirs.Write)
			const size = 4 << 20
			rnd := rand.New(rand.NewPCG(3, 4))
			end := &torturedEnd{t: t, rnd: rnd, loop: loop, out: source{left: size}}
			s, err := loop.NewStream(ours.Read, ours.Write, end.config())
			must(t, err)
			end.stream = s
			var peer sync.WaitGroup
			peer.Go(func() { tortureWrite(t, theirs, size, rand.New(rand.NewPCG(3, 5))) })
			peer.Go(func() { tortureRead(t, theirs, size, rand.New(rand.NewPCG(3, 6))) })
			end.produce()
			pollUntilIdle(t, loop, end)
			peer.Wait()
			if end.in.got != size || end.closed != 1 || end.err != nil {
				t.Errorf("got %d of %d bytes, closed %d times with %v", end.in.got, size, end.closed, end.err)
			}
			pollUntil(t, loop, func() bool { return caught.Load() > 0 })
		})
	}
}

// checkTimers keeps a timer going that fails when it is early.
func checkTimers(t *testing.T, loop *reactor.Loop) *reactor.Timer {
	const d = 300 * time.Microsecond
	var timer *reactor.Timer
	began := time.Now()
	timer = loop.AfterFunc(d, func() {
		if took := time.Since(began); took < d {
			t.Errorf("%v fired after %v", d, took)
		}
		began = time.Now()
		timer.Reset(d)
	})
	return timer
}

// signalStorm sends this process a signal over and over until stop is called.
// SIGUSR1 is caught, by whichever thread the kernel chooses.
func signalStorm(caught *atomic.Int32) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	quit := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-signals:
				caught.Add(1)
			default:
				unix.Kill(unix.Getpid(), unix.SIGUSR1)
				time.Sleep(20 * time.Microsecond) // or signals are all that is handled
			}
		}
	})
	return func() {
		close(quit)
		group.Wait()
		signal.Stop(signals)
	}
}

// TestProcessStoppedForASecondGoesOn: SIGSTOP, and SIGCONT a second later. What
// was due meanwhile happens once, then everything goes on.
func TestProcessStoppedForASecondGoesOn(t *testing.T) {
	if !alone(t) {
		return
	}
	const period = 10 * time.Millisecond
	loop := newLoop(t)
	l := newLink(t, loop, fdtest.Transports()[0], nil)
	var last uint64 // iteration of the last firing
	fired, after, seen := 0, 0, time.Time{}
	ticker := loop.Every(period, period, func() {
		switch gap := loop.Now().Sub(seen); {
		case after > 0:
			after++
		case !seen.IsZero() && gap > time.Second/2:
			after = 1
			must(t, l.stream.Write([]byte("awake")))
		}
		seen = loop.Now()
		if n := loop.Stats().Iterations; n == last {
			t.Error("fired twice in one iteration")
		} else {
			last = n
		}
		fired++
	})
	pollUntil(t, loop, func() bool { return fired > 0 })
	stopper := exec.Command("sh", "-c", "kill -STOP $PPID; sleep 1; kill -CONT $PPID")
	start(t, stopper)
	exited := false
	_, err := loop.WatchProcess(stopper.Process.Pid, func() { exited = true })
	must(t, err)
	pollUntil(t, loop, func() bool { return exited && after > 5 })
	must(t, stopper.Wait())
	if got, _ := l.peer.Available(t); string(got) != "awake" {
		t.Errorf("the peer got %q", got)
	}
	ticker.Stop()
}
