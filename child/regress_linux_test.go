package child_test

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// A loop that was busy for longer than it waits for the exit after an EOF found
// the timer due and the exit reported in one iteration. The timer came first, so
// a child that had long exited was said to have been put down by us.
func TestExitThatCameWhileTheLoopWasBusyIsNoOffence(t *testing.T) {
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	k := f.start(shell("exec 1>&-; read line; exit 6"))
	f.until(func() bool { return k.eof }) // from here on its exit is expected
	must(t, k.stream.Write([]byte("now\n")))
	k.stream.Flush()
	awaitExited(t, k.PID())
	clock.Advance(300 * time.Millisecond) // the loop is busy, for longer than it is patient
	f.until(k.ended)
	if exit := k.exitError(t); exit.Reason != nil || exit.State.Asked != child.AskedByNobody || exit.State.Code != 6 {
		t.Errorf("the cause is %v, asked for by %d", k.cause, exit.State.Asked)
	}
}

// awaitExited waits until a child has exited and leaves it unreaped.
func awaitExited(t *testing.T, pid int) {
	t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		must(t, err)
		return
	}
}

// Each process that could not be reaped was waited for, one after the other: the end of a loop with fifty
// workers that waited for a file server in the kernel took 500 s.
func TestProcessesThatCannotBeReapedAreWaitedForTogether(t *testing.T) {
	elsewhere, f := newFixture(t), newFixture(t)
	var kids []*kid
	for range 3 {
		k := f.start(shell("echo ready; read line"))
		f.saw(k, "ready")
		elsewhere.trace(k) // who traces it keeps what is left of it
		kids = append(kids, k)
	}
	var slept time.Duration
	must(t, child.SleepBy(f.Loop, func(d time.Duration) { slept += d }))
	f.runIntoPanic()
	must(t, f.Close())
	if slept < time.Second || slept > 11*time.Second {
		t.Errorf("it slept for %v", slept)
	}
	must(t, elsewhere.Close())
	for _, k := range kids {
		_, err := syscall.Wait4(k.PID(), nil, 0, nil)
		must(t, err)
	}
}

// A child that had exited before its handshake was said to have been put down for the start timeout if much else was ready, of
// which one wait reports a part.
func TestExitThatCameInTimeIsSeenThoughMuchIsReady(t *testing.T) {
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	for range 100 { // the first wait reports 32
		r, w := fdtest.Pipe(t)
		p := fdtest.End{Read: r, Write: w}
		t.Cleanup(p.Close)
		p.Send(t, []byte("x"))
		watcher, err := f.WatchFD(p.Read, reactor.Read, func(reactor.Ready) {})
		must(t, err)
		t.Cleanup(func() { watcher.Stop() })
	}
	k := f.startUnclaimed(shell("exit 3"))
	_, err := k.Open(reactor.StreamConfig{})
	must(t, err)
	awaitExited(t, k.PID())
	clock.Advance(2 * guard)
	f.until(k.ended)
	if exit := k.exitError(t); exit.Reason != nil || exit.State.Asked != child.AskedByNobody || exit.State.Code != 3 {
		t.Errorf("the cause is %v, asked for by %d", k.cause, exit.State.Asked)
	}
}
