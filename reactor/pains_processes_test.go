package reactor_test

import (
	"errors"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProcessesThatOthersWaitForAreReportedOnce: a goroutine per process sits in
// Wait, and reaps it, maybe before it is watched or before the loop looks.
func TestProcessesThatOthersWaitForAreReportedOnce(t *testing.T) {
	loop := newLoop(t)
	const count = 100
	reports := make([]int, count)
	watched, gone := 0, 0
	var waiters sync.WaitGroup
	for i := range count {
		cmd := exec.Command("sh", "-c", "exit 3")
		let := func() {}
		if i == 0 { // this one stays until it is watched, however late that is
			cmd = exec.Command("sh", "-c", "read line; exit 3")
			stdin, err := cmd.StdinPipe()
			must(t, err)
			let = func() { must(t, stdin.Close()) }
		}
		start(t, cmd)
		waiters.Go(func() {
			var status *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 3 {
				t.Errorf("Wait: %v, want exit status 3", err)
			}
		})
		_, err := loop.WatchProcess(cmd.Process.Pid, func() { reports[i]++ })
		switch {
		case errors.Is(err, unix.ESRCH): // reaped already: there is no such process
			gone++
			reports[i]++
		default:
			must(t, err)
			watched++
		}
		let()
	}
	run(t, loop)
	waiters.Wait()
	pollTimes(t, loop, 3)
	for i, n := range reports {
		if n != 1 {
			t.Errorf("process %d was reported %d times", i, n)
		}
	}
	if watched == 0 {
		t.Errorf("all %d were gone before they could be watched: nothing was tested", gone)
	}
}
