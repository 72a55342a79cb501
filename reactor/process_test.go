package reactor_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
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

// startCat starts a process that ends when its stdin is closed.
func startCat(t testing.TB) (cat *exec.Cmd, stdin io.Closer) {
	t.Helper()
	cat = exec.Command("cat")
	stdin, err := cat.StdinPipe()
	must(t, err)
	start(t, cat)
	return cat, stdin
}

// onExitSources runs body on a loop for each way of hearing of exits.
func onExitSources(t *testing.T, body func(t *testing.T, loop *reactor.Loop)) {
	for _, name := range slices.Sorted(maps.Keys(reactor.ExitSources)) {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			if !loop.UseExits(name) {
				t.Skipf("not here, with %s", loop.Backend())
			}
			body(t, loop)
		})
	}
}

func TestWatchProcessReportsAndLeavesTheStatusToWait(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
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
	})
}

func TestProcessThatExitedBeforeIsReported(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
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
	})
}

func TestManyShortProcessesAreAllReported(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
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
	})
}

func TestStoppedProcessWatcherIsNotCalled(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd := exec.Command("true")
		start(t, cmd)
		w, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
		must(t, err)
		must(t, waitUntilExited(cmd.Process.Pid))
		w.Stop()
		w.Stop() // harmless
		pollTimes(t, loop, 3)
		must(t, cmd.Wait())
		if w.Active() {
			t.Error("active after Stop")
		}
	})
}

func TestProcessWatchersAreIndependent(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
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
	})
}

func TestUnreferencedProcessWatcherDoesNotKeepRun(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd, stdin := startCat(t)
		exited := false
		w, err := loop.WatchProcess(cmd.Process.Pid, func() { exited = true })
		must(t, err)
		w.Unref()
		run(t, loop) // returns at once
		must(t, stdin.Close())
		pollUntil(t, loop, func() bool { return exited })
		must(t, cmd.Wait())
	})
}

func TestUnknownProcessIsRefused(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd := exec.Command("true")
		start(t, cmd)
		must(t, cmd.Wait()) // reaped: nobody has this number now, most likely
		w, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
		wantErr(t, err, unix.ESRCH)
		var op *reactor.OpError
		if !errors.As(err, &op) || w != nil || !strings.Contains(err.Error(), fmt.Sprintf("watch process %d: ", cmd.Process.Pid)) {
			t.Errorf("got %v and %v", w, err)
		}
	})
}

// TestProcessAndDescriptorOfOneNumberAreNotConfused: kernels know them by the
// kind of the watching as well as by the number.
func TestProcessAndDescriptorOfOneNumberAreNotConfused(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd, stdin := startCat(t)
		p := pipe(t)
		fd, err := unix.FcntlInt(uintptr(p.Read), unix.F_DUPFD_CLOEXEC, cmd.Process.Pid)
		if err != nil || fd != cmd.Process.Pid {
			must(t, stdin.Close())
			must(t, cmd.Wait())
			t.Skipf("no descriptor can have the number of process %d: %v", cmd.Process.Pid, err)
		}
		defer unix.Close(fd)
		readable, exited := 0, 0
		w := watch(t, loop, fd, reactor.Read, func(reactor.Ready) { readable++ })
		_, err = loop.WatchProcess(cmd.Process.Pid, func() { exited++ })
		must(t, err)
		p.Send(t, []byte("x"))
		pollTimes(t, loop, 3)
		if readable != 3 || exited != 0 {
			t.Errorf("with bytes to read: readable %d times of 3, exited %d times of none", readable, exited)
		}
		p.CloseWrite()
		p.Available(t)
		w.Stop()
		readable = 0
		must(t, stdin.Close())
		pollUntil(t, loop, func() bool { return exited > 0 })
		pollTimes(t, loop, 3)
		if readable != 0 || exited != 1 {
			t.Errorf("after the exit: readable %d times of none, exited %d times of one", readable, exited)
		}
		must(t, cmd.Wait())
	})
}

func TestProcessWatcherStoppedByAnotherOfItsProcessIsNotCalled(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd := exec.Command("true")
		start(t, cmd)
		calls := 0
		watchers := make([]*reactor.ProcessWatcher, 3)
		for i := range watchers {
			var err error
			watchers[i], err = loop.WatchProcess(cmd.Process.Pid, func() {
				calls++
				for _, w := range watchers {
					w.Stop()
				}
			})
			must(t, err)
		}
		pollUntil(t, loop, func() bool { return calls > 0 })
		pollTimes(t, loop, 3)
		if calls != 1 {
			t.Errorf("%d calls, though the first stopped all of the watchers", calls)
		}
		must(t, cmd.Wait())
	})
}

func TestProcessWatcherStartedAgainReportsAgainUntilTheProcessIsReaped(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd := exec.Command("true")
		start(t, cmd)
		calls := 0
		var w *reactor.ProcessWatcher
		w, err := loop.WatchProcess(cmd.Process.Pid, func() {
			if calls++; calls < 3 {
				must(t, w.Start())
			}
		})
		must(t, err)
		if w.PID() != cmd.Process.Pid {
			t.Errorf("watches %d, want %d", w.PID(), cmd.Process.Pid)
		}
		run(t, loop)
		if calls != 3 || w.Active() {
			t.Errorf("called %d times of 3, active %v", calls, w.Active())
		}
		must(t, cmd.Wait())
		wantErr(t, w.Start(), unix.ESRCH)
	})
}

func TestProcessNumberOutOfRangeIsRefused(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		for _, pid := range []int{0, -1, math.MinInt, math.MaxInt} {
			if pid == math.MaxInt32 {
				continue // an int of 32 bits is never too large
			}
			if _, err := loop.WatchProcess(pid, func() { t.Error("called") }); err != reactor.ErrInvalid {
				t.Errorf("pid %d: got %v, want ErrInvalid", pid, err)
			}
		}
	})
}

// TestExitThatSomebodyElseReapsIsReported: the signal comes too late to ask.
func TestExitThatSomebodyElseReapsIsReported(t *testing.T) {
	onExitSources(t, func(t *testing.T, loop *reactor.Loop) {
		cmd, stdin := startCat(t)
		exited := 0
		_, err := loop.WatchProcess(cmd.Process.Pid, func() { exited++ })
		must(t, err)
		must(t, stdin.Close())
		must(t, cmd.Wait())
		run(t, loop)
		if exited != 1 {
			t.Errorf("reported %d times", exited)
		}
	})
}

func TestSIGCHLDOfAnotherChildReportsNothing(t *testing.T) {
	loop := newLoop(t)
	if !loop.UseExits("SIGCHLD") {
		t.Skip("this system cannot be asked about a child without reaping it")
	}
	watched, stdin := startCat(t)
	exited := false
	_, err := loop.WatchProcess(watched.Process.Pid, func() { exited = true })
	must(t, err)
	other := exec.Command("true")
	start(t, other)
	posts := loop.Stats().Posts
	pollUntil(t, loop, func() bool { return loop.Stats().Posts > posts }) // the signal
	if exited {
		t.Error("the watched process is reported while it runs")
	}
	must(t, other.Wait()) // nobody has taken its status
	must(t, stdin.Close())
	pollUntil(t, loop, func() bool { return exited })
	must(t, watched.Wait())
}

// TestSIGCHLDRefusesWhoIsNoChild: nobody would tell of its exit.
func TestSIGCHLDRefusesWhoIsNoChild(t *testing.T) {
	loop := newLoop(t)
	if !loop.UseExits("SIGCHLD") {
		t.Skip("this system cannot be asked about a child without reaping it")
	}
	_, err := loop.WatchProcess(os.Getpid(), func() { t.Error("called") })
	wantErr(t, err, unix.ECHILD)
}

// TestExitWhoseSIGCHLDIsLostIsReported, later; and when nothing is watched any more
// there is nothing to wake up for.
func TestExitWhoseSIGCHLDIsLostIsReported(t *testing.T) {
	loop, clock := newHandLoop(t)
	if !loop.UseExits("SIGCHLD") {
		t.Skip("this system cannot be asked about a child without reaping it")
	}
	loop.LoseSIGCHLD()
	pollTimes(t, loop, 1)
	cmd, stdin := startCat(t)
	exited := 0
	_, err := loop.WatchProcess(cmd.Process.Pid, func() { exited++ })
	must(t, err)
	for range 3 { // it runs, and is asked for again and again
		clock.now += reactor.AskAgain
		pollTimes(t, loop, 1)
	}
	must(t, stdin.Close())
	must(t, waitUntilExited(cmd.Process.Pid))
	clock.now += reactor.AskAgain - 1
	pollTimes(t, loop, 1)
	if exited != 0 {
		t.Errorf("reported %d times without a signal", exited)
	}
	clock.now++
	pollTimes(t, loop, 1)
	if exited != 1 {
		t.Errorf("reported %d times", exited)
	}
	must(t, cmd.Wait())
	if at, ok := loop.NextDeadline(); ok {
		t.Errorf("the loop wakes up at %v", at)
	}
}

func TestSIGCHLDIsNotAskedForWhenNothingIsWatched(t *testing.T) {
	loop := newLoop(t)
	if !loop.UseExits("SIGCHLD") {
		t.Skip("this system cannot be asked about a child without reaping it")
	}
	loop.LoseSIGCHLD() // that of another test's child
	pollTimes(t, loop, 1)
	cmd, stdin := startCat(t)
	w, err := loop.WatchProcess(cmd.Process.Pid, func() { t.Error("called") })
	must(t, err)
	w.Stop()
	if at, ok := loop.NextDeadline(); ok {
		t.Errorf("the loop wakes up at %v", at)
	}
	must(t, stdin.Close())
	must(t, cmd.Wait())
}
