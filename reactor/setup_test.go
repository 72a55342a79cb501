package reactor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// guard ends a test that hangs, long after it should have ended.
const guard = 2 * time.Minute

// newLoop makes a loop that is verified and closed at the end of the test, which
// must leave nothing behind then.
func newLoop(t testing.TB) *reactor.Loop {
	t.Helper()
	return newLoopWith(t, reactor.Config{})
}

func newLoopWith(t testing.TB, config reactor.Config) *reactor.Loop {
	t.Helper()
	leaktest.Check(t)
	loop, err := reactor.New(config)
	must(t, err)
	t.Cleanup(func() { shut(t, loop) })
	return loop
}

// shut closes a loop, which is verified before and after.
func shut(t testing.TB, loop *reactor.Loop) {
	t.Helper()
	verify(t, loop)
	must(t, loop.Close())
	verify(t, loop)
}

// needBackend skips a test of what only one backend does.
func needBackend(t testing.TB, loop *reactor.Loop, name, reason string) {
	t.Helper()
	if loop.Backend() != name {
		t.Skipf("not with %s: %s", loop.Backend(), reason)
	}
}

func verify(t testing.TB, loop *reactor.Loop) {
	t.Helper()
	if err := loop.Verify(); err != nil {
		t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// run runs the loop until nothing is left or it is stopped.
func run(t testing.TB, loop *reactor.Loop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	must(t, loop.Run(ctx))
}

// pollUntil polls until cond is true.
func pollUntil(t testing.TB, loop *reactor.Loop, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(guard); !cond(); {
		if time.Now().After(deadline) {
			t.Fatal("what the test waits for has not happened")
		}
		must(t, loop.Poll(100*time.Millisecond))
	}
}

// pollTimes polls that often without waiting.
func pollTimes(t testing.TB, loop *reactor.Loop, times int) {
	t.Helper()
	for range times {
		must(t, loop.Poll(0))
	}
}

// busyUntil is a callback that computes for long.
func busyUntil(at time.Time) {
	for time.Now().Before(at) {
	}
}

// pipe returns the two ends of one pipe, closed at the end of the test.
func pipe(t testing.TB) *fdtest.End {
	t.Helper()
	r, w := fdtest.Pipe(t)
	p := &fdtest.End{Read: r, Write: w}
	t.Cleanup(p.Close)
	return p
}

// readyPipe returns a pipe with one byte in it.
func readyPipe(t testing.TB) *fdtest.End {
	t.Helper()
	return fdtest.ReadyPipe(t)
}

// reopenAs makes a new descriptor of the given number, which must be free, for
// what other refers to.
func reopenAs(t testing.TB, number, other int) {
	t.Helper()
	got, err := unix.FcntlInt(uintptr(other), unix.F_DUPFD_CLOEXEC, number)
	must(t, err)
	if got != number {
		unix.Close(got)
		t.Fatalf("descriptor %d is not free: got %d", number, got)
	}
}

// watch watches a descriptor until the end of the test.
func watch(t testing.TB, loop *reactor.Loop, fd int, interest reactor.Ready, fn func(reactor.Ready)) *reactor.FDWatcher {
	t.Helper()
	w, err := loop.WatchFD(fd, interest, fn)
	must(t, err)
	t.Cleanup(func() { w.Stop() })
	return w
}
