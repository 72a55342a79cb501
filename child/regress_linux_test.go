package child_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
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
	exitsBehindAnEOF(t, 0)
}

// exitsBehindAnEOF has a child exit after its EOF while the loop is busy, with that many other descriptors ready.
func exitsBehindAnEOF(t *testing.T, ready int) {
	t.Helper()
	clock := reactortest.NewClock()
	f := newFixtureWith(t, reactor.Config{Clock: clock})
	k := f.start(shell("exec 1>&-; read line; exit 6"))
	f.until(func() bool { return k.eof }) // from here on its exit is expected
	f.watchReady(ready)
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
	f.watchReady(100)
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

// watchReady watches that many descriptors that are always ready. The first waits report 32, 64, 128.
func (f *fixture) watchReady(n int) {
	for range n {
		watcher, err := f.WatchFD(fdtest.ReadyPipe(f.t).Read, reactor.Read, func(reactor.Ready) {})
		must(f.t, err)
		f.t.Cleanup(func() { watcher.Stop() })
	}
}

// envInside has this test go on inside a PID namespace of its own.
const envInside = "CHILD_TEST_INSIDE"

// A child that had exited after its EOF was said to have gone on running if much else was ready, and there was no /proc to ask.
func TestExitBehindAnEOFIsNoOffenceThoughMuchIsReady(t *testing.T) {
	if os.Getenv(envInside) == "" {
		runInside(t)
		return
	}
	exitsBehindAnEOF(t, 400)
}

// runInside runs the test in a PID namespace to which nobody has given a /proc of its own.
func runInside(t *testing.T) {
	t.Helper()
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
	}
	runAgain(t, attr)
}

// runAgain runs the test in a process that is started in another way.
func runAgain(t *testing.T, attr *syscall.SysProcAttr) {
	t.Helper()
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), envInside+"=1")
	again.SysProcAttr = attr
	out, err := again.CombinedOutput()
	switch {
	case again.Process == nil:
		t.Skip("a process cannot be started so here: ", err)
	case err != nil:
		t.Errorf("inside: %v\n%s", err, out)
	}
}

// The error of a Start in a directory that may not be entered read as if it were about the program.
func TestErrorOfAStartNamesTheDirectoryThatMayNotBeEntered(t *testing.T) {
	if os.Geteuid() == 0 { // who may enter all of them
		runAgain(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
		return
	}
	f := newFixture(t)
	dir, err := os.MkdirTemp("/tmp", "evfork")
	must(t, err)
	defer os.Remove(dir)
	must(t, os.Chmod(dir, 0o600))
	config := shell("exit")
	config.Dir = dir
	if _, err := child.Start(f.Loop, config); !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "chdir "+dir) {
		t.Errorf("Start returned %v", err)
	}
}
