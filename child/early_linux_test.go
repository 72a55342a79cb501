package child_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/exittest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/waitpeek"
	"github.com/evfork/evfork/reactor"
)

// TestExitThatIsUnderWayIsWaitedFor: this kernel reports it then. What is left of the
// process is killed with its group.
func TestExitThatIsUnderWayIsWaitedFor(t *testing.T) {
	queue, err := kqsim.New(kqsim.Quirks{EarlyExit: true})
	must(t, err)
	kqueue, err := poller.NewKqueue(queue)
	must(t, err)
	f := newFixtureWith(t, reactor.Config{Poller: kqueue})
	k := f.start(child.Config{
		Path: "/proc/self/exe", Env: exittest.Environ(), Transport: child.Stdio, Ladder: patient, StartTimeout: guard,
	})
	must(t, k.stream.Write([]byte{1}))
	ticks := f.Every(time.Millisecond, time.Millisecond, func() {}) // nothing else wakes the loop
	defer ticks.Stop()
	f.until(k.ended)
	if exit := k.exitError(t); exit.State.Signal != syscall.SIGKILL || k.exits != 1 || k.ends != 1 {
		t.Errorf("%+v, exited %d times, ended %d times", exit.State, k.exits, k.ends)
	}
	if _, err := waitpeek.Exited(k.PID()); err != syscall.ECHILD {
		t.Errorf("it has not been reaped: %v", err)
	}
}
