package reactor_test

import (
	"errors"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// start starts a command; a machine that does not have it skips the test.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	err := cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("missing here: ", err)
	}
	must(t, err)
}

func TestWatchProcessReportsAndLeavesTheStatusToWait(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("sh", "-c", "read line; exit 3")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	start(t, cmd)
	exited := 0
	_, err = loop.WatchProcess(cmd.Process.Pid, func() { exited++ })
	must(t, err)
	pollTimes(t, loop, 3)
	if exited != 0 {
		t.Fatal("reported while it runs")
	}
	must(t, stdin.Close())
	run(t, loop) // until it has been reported
	if exited != 1 {
		t.Errorf("reported %d times", exited)
	}
	var status *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 3 {
		t.Errorf("Wait: %v, want exit status 3", err)
	}
}

func TestProcessThatExitedBeforeIsReported(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("true")
	start(t, cmd)
	must(t, waitUntilExited(cmd.Process.Pid))
	exited := false
	_, err := loop.WatchProcess(cmd.Process.Pid, func() { exited = true })
	must(t, err)
	if exited {
		t.Error("reported inside WatchProcess")
	}
	pollTimes(t, loop, 1)
	if !exited {
		t.Error("not reported in the next iteration")
	}
	must(t, cmd.Wait())
}

func TestManyShortProcessesAreAllReported(t *testing.T) {
	loop := newLoop(t)
	const count = 100
	exited := 0
	commands := make([]*exec.Cmd, count)
	for i := range commands {
		commands[i] = exec.Command("true")
		start(t, commands[i])
		_, err := loop.WatchProcess(commands[i].Process.Pid, func() { exited++ })
		must(t, err)
	}
	run(t, loop)
	if exited != count {
		t.Errorf("%d of %d were reported", exited, count)
	}
	for _, cmd := range commands {
		must(t, cmd.Wait())
	}
}

func TestStoppedProcessWatcherIsNotCalled(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("true")
	start(t, cmd)
	w, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
	must(t, err)
	must(t, waitUntilExited(cmd.Process.Pid))
	must(t, w.Stop())
	must(t, w.Stop()) // harmless
	pollTimes(t, loop, 3)
	must(t, cmd.Wait())
	if w.Active() {
		t.Error("active after Stop")
	}
}

func TestProcessWatchersAreIndependent(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("true")
	start(t, cmd)
	calls := 0
	for range 3 {
		_, err := loop.WatchProcess(cmd.Process.Pid, func() { calls++ })
		must(t, err)
	}
	run(t, loop)
	if calls != 3 {
		t.Errorf("%d of 3 watchers were called", calls)
	}
	must(t, cmd.Wait())
}

func TestUnreferencedProcessWatcherDoesNotKeepRun(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	start(t, cmd)
	exited := false
	w, err := loop.WatchProcess(cmd.Process.Pid, func() { exited = true })
	must(t, err)
	w.Unref()
	run(t, loop) // returns at once
	must(t, stdin.Close())
	pollUntil(t, loop, func() bool { return exited })
	must(t, cmd.Wait())
}

func TestUnknownProcessIsRefused(t *testing.T) {
	loop := newLoop(t)
	cmd := exec.Command("true")
	start(t, cmd)
	must(t, cmd.Wait()) // reaped: nobody has this number now, most likely
	w, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
	wantErr(t, err, unix.ESRCH)
	var op *reactor.OpError
	if !errors.As(err, &op) || w != nil {
		t.Errorf("got %v and %v", w, err)
	}
}
