package reactor_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

func TestWatcherIsCalledAgainWhileTheConditionLasts(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	pollTimes(t, loop, 3)
	if calls != 3 {
		t.Errorf("called in %d of 3 iterations", calls)
	}
	p.Available(t)
	pollTimes(t, loop, 3)
	if calls != 3 {
		t.Error("called without being ready")
	}
}

func TestWatcherGetsOnlyWhatItAskedFor(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer ours.Close()
	defer theirs.Close()
	theirs.Send(t, []byte("x")) // ours is readable and writable
	for _, interest := range []reactor.Ready{reactor.Read, reactor.Write, reactor.Read | reactor.Write} {
		w, err := loop.WatchFD(ours.Read, interest, func(ready reactor.Ready) {
			if ready != interest {
				t.Errorf("asked for %s, got %s", reactor.ReadyString(interest), reactor.ReadyString(ready))
			}
		})
		must(t, err)
		defer w.Stop()
	}
	before := loop.Stats().Events
	pollTimes(t, loop, 1)
	if events := loop.Stats().Events - before; events != 1 {
		t.Errorf("%d events for one descriptor", events)
	}
}

func TestHangUpWatcherIsCalledWhenTheOtherSideGoes(t *testing.T) {
	loop := newLoop(t)
	p := pipe(t)
	var got reactor.Ready
	watch(t, loop, p.Write, reactor.HangUp, func(ready reactor.Ready) { got = ready })
	pollTimes(t, loop, 2)
	if got != 0 {
		t.Errorf("got %s of a pipe that is only writable", reactor.ReadyString(got))
	}
	p.CloseRead()
	pollUntil(t, loop, func() bool { return got != 0 })
	if got != reactor.HangUp {
		t.Errorf("got %s", reactor.ReadyString(got))
	}
}

func TestWatchersOfOneDescriptorAreCalledInStartOrder(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	var order []int
	for i := range 3 {
		watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { order = append(order, i) })
	}
	pollTimes(t, loop, 1)
	if fmt.Sprint(order) != "[0 1 2]" {
		t.Errorf("called in order %v", order)
	}
}

func TestStoppingOneWatcherLeavesTheOthersOfItsDescriptor(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	first := watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	last := watch(t, loop, p.Read, reactor.Read|reactor.HangUp, func(reactor.Ready) { t.Error("called") })
	must(t, first.Stop())
	must(t, last.Stop())
	verify(t, loop)
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
}

func TestStopInsideOwnCallback(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	var w *reactor.FDWatcher
	w = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {
		calls++
		must(t, w.Stop())
	})
	run(t, loop)
	pollTimes(t, loop, 2)
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
	must(t, w.Start())
	run(t, loop)
	if calls != 2 {
		t.Errorf("called %d times after being started again", calls)
	}
}

func TestWatcherStoppedByAnotherDescriptorsCallbackIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	calls := 0
	var watchers [2]*reactor.FDWatcher
	for i := range watchers {
		watchers[i] = watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {
			calls++
			watchers[1-i].Stop()
		})
	}
	pollTimes(t, loop, 1) // both are in this batch, in whatever order
	if calls != 1 {
		t.Errorf("%d of two were called", calls)
	}
}

func TestWatcherStoppedByAnotherOfItsDescriptorIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	calls := 0
	var second *reactor.FDWatcher
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { second.Stop() })
	second = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("called") })
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })
	pollTimes(t, loop, 1)
	if calls != 1 {
		t.Errorf("the one behind it was called %d times", calls)
	}
}

func TestInterestTakenBackInTheBatchIsNotDelivered(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer ours.Close()
	defer theirs.Close()
	theirs.Send(t, []byte("x"))
	var second *reactor.FDWatcher
	watch(t, loop, ours.Read, reactor.Read, func(reactor.Ready) { must(t, second.SetInterest(reactor.HangUp)) })
	second = watch(t, loop, ours.Read, reactor.Write, func(reactor.Ready) { t.Error("called") })
	pollTimes(t, loop, 1)
}

// TestReusedNumberGetsNoEventOfItsFormerLife: both are ready in one batch, and
// whichever is called first closes the other and opens its number anew.
func TestReusedNumberGetsNoEventOfItsFormerLife(t *testing.T) {
	loop := newLoop(t)
	quiet := pipe(t)
	pipes := [2]*fdtest.End{readyPipe(t), readyPipe(t)}
	var watchers [2]*reactor.FDWatcher
	calls := 0
	for i := range watchers {
		watchers[i] = watch(t, loop, pipes[i].Read, reactor.Read, func(reactor.Ready) {
			calls++
			number := pipes[1-i].Read
			must(t, watchers[1-i].Stop())
			pipes[1-i].CloseRead()
			reopenAs(t, number, quiet.Read)
			pipes[1-i].Read = number
			watch(t, loop, number, reactor.Read, func(reactor.Ready) { t.Error("the new watcher was called") })
		})
	}
	pollTimes(t, loop, 1)
	if events := loop.Stats().Events; events != 2 || calls != 1 {
		t.Errorf("%d events were fetched and %d watchers called, want 2 and 1", events, calls)
	}
}

func TestNumberReusedByItsOwnCallbackGetsNoEventOfItsFormerLife(t *testing.T) {
	loop := newLoop(t)
	p, quiet := readyPipe(t), pipe(t)
	var first, second *reactor.FDWatcher
	first = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) {
		number := p.Read
		must(t, first.Stop())
		must(t, second.Stop())
		p.CloseRead()
		reopenAs(t, number, quiet.Read)
		p.Read = number
		watch(t, loop, number, reactor.Read, func(reactor.Ready) { t.Error("the new watcher was called") })
	})
	second = watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { t.Error("the second was called") })
	pollTimes(t, loop, 3)
}

// TestLeakedDuplicateDoesNotSpin: a watched descriptor is closed without Stop
// while a duplicate of it lives, so the kernel goes on reporting a registration
// that can no longer be removed.
func TestLeakedDuplicateDoesNotSpin(t *testing.T) {
	loop := newLoop(t)
	needBackend(t, loop, "epoll", "only epoll watches what a descriptor refers to; the others watch the descriptor")
	other := readyPipe(t)
	calls := 0
	watch(t, loop, other.Read, reactor.Read, func(reactor.Ready) { calls++ })

	p := readyPipe(t)
	w, err := loop.WatchFD(p.Read, reactor.Read, func(reactor.Ready) { t.Error("the stopped watcher was called") })
	must(t, err)
	dup := fdtest.Dup(t, p.Read)
	defer unix.Close(dup)
	p.CloseRead()
	wantErr(t, w.Stop(), unix.EBADF)

	pollUntil(t, loop, func() bool { return loop.Stats().Rebuilds > 0 })
	stale := loop.Stats().Stale
	if stale == 0 {
		t.Error("rebuilt without a stale event")
	}
	calls = 0
	pollTimes(t, loop, 10)
	if after := loop.Stats(); after.Stale != stale || after.Rebuilds != 1 {
		t.Errorf("%d more stale events, %d rebuilds", after.Stale-stale, after.Rebuilds)
	}
	if calls != 10 {
		t.Errorf("the other watcher was called in %d of 10 iterations", calls)
	}
}

// TestDescriptorClosedBehindTheLoopsBackDoesNotSpin is what all backends have in
// common when there is no duplicate.
func TestDescriptorClosedBehindTheLoopsBackDoesNotSpin(t *testing.T) {
	loop := newLoop(t)
	p := readyPipe(t)
	w, err := loop.WatchFD(p.Read, reactor.Read, func(reactor.Ready) { t.Error("called for a closed descriptor") })
	must(t, err)
	p.CloseRead()
	pollTimes(t, loop, 20)
	if s := loop.Stats(); s.Stale > 1 || s.Rebuilds != 0 {
		t.Errorf("%d stale events, %d rebuilds", s.Stale, s.Rebuilds)
	}
	w.Stop() // EBADF, ENOENT or nothing: the backends differ
	verify(t, loop)
	other := readyPipe(t)
	calls := 0
	watch(t, loop, other.Read, reactor.Read, func(reactor.Ready) { calls++ })
	pollTimes(t, loop, 3)
	if calls != 3 {
		t.Errorf("another watcher was called in %d of 3 iterations", calls)
	}
}

func TestSetInterest(t *testing.T) {
	loop := newLoop(t)
	ours, theirs := fdtest.Sockets(t)
	defer ours.Close()
	defer theirs.Close()
	theirs.Send(t, []byte("x"))
	var got reactor.Ready
	w := watch(t, loop, ours.Read, reactor.Read, func(ready reactor.Ready) { got = ready })
	pollOnce := func(want reactor.Ready) {
		t.Helper()
		got = 0
		pollTimes(t, loop, 1)
		if got != want {
			t.Errorf("got %s, want %s", reactor.ReadyString(got), reactor.ReadyString(want))
		}
	}
	pollOnce(reactor.Read)
	must(t, w.SetInterest(reactor.Write))
	pollOnce(reactor.Write)
	must(t, w.SetInterest(reactor.HangUp))
	pollOnce(0)
	must(t, w.Stop())
	must(t, w.SetInterest(reactor.Read|reactor.Write))
	pollOnce(0)
	must(t, w.Start())
	pollOnce(reactor.Read | reactor.Write)
	wantErr(t, w.SetInterest(0), reactor.ErrInvalid)
	wantErr(t, w.SetInterest(1<<7), reactor.ErrInvalid)
	pollOnce(reactor.Read | reactor.Write)
}

func TestDescriptorThatCannotBeWatchedIsRefused(t *testing.T) {
	loop := newLoop(t)
	file, err := os.Open(os.Args[0])
	must(t, err)
	defer file.Close()
	p := pipe(t)
	closed := p.Read
	p.CloseRead()
	for _, c := range []struct {
		name     string
		fd       int
		interest reactor.Ready
		want     error
	}{
		{"closed", closed, reactor.Read, unix.EBADF},
		{"regular file", int(file.Fd()), reactor.Read, unix.EPERM},
		{"negative", -1, reactor.Read, reactor.ErrInvalid},
		{"no interest", p.Write, 0, reactor.ErrInvalid},
		{"unknown interest", p.Write, 1 << 7, reactor.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := loop.WatchFD(c.fd, c.interest, func(reactor.Ready) { t.Error("called") })
			wantErr(t, err, c.want)
			if w != nil {
				t.Error("a watcher was returned, too")
			}
			var op *reactor.OpError
			if _, errno := c.want.(unix.Errno); errno && (!errors.As(err, &op) || op.FD != c.fd) {
				t.Errorf("%v does not name the descriptor", err)
			}
			verify(t, loop)
			run(t, loop) // nothing is left
		})
	}
}

func TestUnreferencedWatcherDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	w := watch(t, loop, pipe(t).Read, reactor.Read, func(reactor.Ready) {})
	w.Unref()
	run(t, loop) // or waits for ever
	w.Ref()
	if refs := loop.Stats().Refs; refs != 1 {
		t.Errorf("%d references after Ref", refs)
	}
}

func TestDispatchAllocatesNothingInSteadyState(t *testing.T) {
	loop := newLoop(t)
	var w *reactor.FDWatcher
	w = watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {
		w.Stop()
		w.Start()
	})
	if n := testing.AllocsPerRun(1000, func() { pollTimes(t, loop, 1) }); n != 0 {
		t.Errorf("%v allocations per iteration", n)
	}
}

func TestReadyStringNamesTheConditions(t *testing.T) {
	for want, r := range map[string]reactor.Ready{
		"":                  0,
		"read":              reactor.Read,
		"read|write":        reactor.Read | reactor.Write,
		"read|write|hangup": reactor.Read | reactor.Write | reactor.HangUp,
	} {
		if got := reactor.ReadyString(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
