package reactortest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// wantOpError checks for an *OpError of the loop with that errno.
func wantOpError(t testing.TB, err error, fd int, errno unix.Errno) {
	t.Helper()
	var op *reactor.OpError
	if !errors.As(err, &op) || op.FD != fd || !errors.Is(err, errno) {
		t.Errorf("got error %v, want %v of fd %d", err, errno, fd)
	}
}

func TestRefusedDescriptorIsNotWatched(t *testing.T) {
	r := newRecorder(t)
	r.watch(5, reactor.Read) // 5 has a place in the table, 9 has not
	for _, fd := range []int{5, 9} {
		r.Poller.FailNext(reactortest.Modify, unix.ENOMEM)
		r.Poller.FailNext(reactortest.Add, unix.ENOMEM)
		_, err := r.Loop.WatchFD(fd, reactor.Write, func(reactor.Ready) { t.Error("called") })
		wantOpError(t, err, fd, unix.ENOMEM)
		must(t, r.Loop.Verify())
		r.Poller.SetReady(fd, reactor.Read|reactor.Write)
	}
	r.poll("5:read ")
}

func TestRefusedInterestLeavesTheOldOne(t *testing.T) {
	r := newRecorder(t)
	w := r.watch(5, reactor.Read)
	r.Poller.FailNext(reactortest.Modify, unix.ENOMEM)
	wantOpError(t, w.SetInterest(reactor.Write), 5, unix.ENOMEM)
	must(t, r.Loop.Verify())
	r.Poller.SetReady(5, reactor.Read|reactor.Write)
	r.poll("5:read ")
	must(t, w.SetInterest(reactor.Write))
	r.poll("5:write ")
}

func TestWatcherIsStoppedEvenIfThePollerFails(t *testing.T) {
	r := newRecorder(t)
	w := r.watch(5, reactor.Read)
	r.Poller.SetReady(5, reactor.Read)
	r.Poller.FailNext(reactortest.Remove, unix.EBADF)
	wantOpError(t, w.Stop(), 5, unix.EBADF)
	if w.Active() {
		t.Error("it is active")
	}
	r.poll("")
	must(t, w.Start())
	r.poll("5:read ")
}

// TestFailedWaitLeavesRunAndHarmsNothing fails the wait with everything that an
// iteration may hold pending.
func TestFailedWaitLeavesRunAndHarmsNothing(t *testing.T) {
	sim := newSim(t)
	called := map[string]int{}
	note := func(what string) func() { return func() { called[what]++ } }
	sim.Loop.AfterFunc(time.Second, note("timer"))
	sim.Loop.Post(note("post"))
	must(t, sim.Loop.AfterFunc(time.Hour, note("fed")).Feed())
	var w *reactor.FDWatcher
	w = watch(t, sim, 5, reactor.Read, func(reactor.Ready) { note("fd")(); w.Stop() })
	sim.Poller.Pulse(5, reactor.Read)
	for _, run := range []func() error{
		func() error { return sim.Loop.Run(context.Background()) },
		func() error { return sim.Loop.RunUntil(context.Background(), func() bool { return false }) },
		func() error { return sim.Loop.Poll(0) },
		func() error { return sim.Loop.Poll(-1) },
	} {
		sim.Poller.FailNext(reactortest.Wait, unix.EINVAL)
		wantOpError(t, run(), -1, unix.EINVAL)
		must(t, sim.Loop.Verify())
	}
	if len(called) != 0 {
		t.Errorf("called %v though no wait succeeded", called)
	}
	sim.Run()
	for _, what := range []string{"timer", "post", "fed", "fd"} {
		if called[what] != 1 {
			t.Errorf("%s was called %d times", what, called[what])
		}
	}
}

// TestFailedBlockingWaitIsReturnedToo: the first question of an iteration does not
// block, the second does.
func TestFailedBlockingWaitIsReturnedToo(t *testing.T) {
	sim := newSim(t)
	fired := false
	sim.Loop.AfterFunc(time.Second, func() { fired = true })
	sim.Poller.FailNext(reactortest.Wait, nil)
	sim.Poller.FailNext(reactortest.Wait, unix.ENOMEM)
	before := sim.Loop.Stats()
	wantOpError(t, sim.Loop.Run(context.Background()), -1, unix.ENOMEM)
	if after := sim.Loop.Stats(); after.Blocked-before.Blocked != 1 || fired {
		t.Errorf("blocked %d times, fired %v", after.Blocked-before.Blocked, fired)
	}
	sim.Run()
	if !fired {
		t.Error("the timer was lost")
	}
}

func TestStreamThatCannotBeWatchedIsRefusedWhole(t *testing.T) {
	sim := newSim(t)
	ours, theirs := fdtest.Pipes(t)
	defer ours.Close() // the stream does not own them after an error
	defer theirs.Close()
	for _, reader := range []error{unix.ENOSPC, nil} { // the second time, the writer fails
		sim.Poller.FailNext(reactortest.Add, reader)
		sim.Poller.FailNext(reactortest.Add, unix.ENOSPC)
		_, err := sim.Loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{})
		wantErr(t, err, unix.ENOSPC)
		if n := sim.Loop.Stats(); n.Streams != 0 || n.Refs != 0 {
			t.Errorf("%d streams, %d references", n.Streams, n.Refs)
		}
		if a, b := sim.Poller.Interest(ours.Read), sim.Poller.Interest(ours.Write); a|b != 0 {
			t.Errorf("still watched for %q and %q", reactor.ReadyString(a), reactor.ReadyString(b))
		}
	}
}
