package waitpeek_test

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/waitpeek"
)

// TestProcessOnItsWayOutIsRecognised: on a machine with more work than processors a
// killed child took longer than the patience from its EOF to its exit, and was put
// down as one that had closed its pipe and went on running.
func TestProcessOnItsWayOutIsRecognised(t *testing.T) {
	if waitpeek.Exiting(os.Getpid()) {
		t.Error("this process is not exiting")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if waitpeek.Exiting(cmd.Process.Pid) {
		t.Error("a process that runs is not exiting")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for { // dead, and still there
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	if !waitpeek.Exiting(cmd.Process.Pid) {
		t.Error("a process that was killed is exiting")
	}
	_ = cmd.Wait() // signal: killed
	if waitpeek.Exiting(cmd.Process.Pid) {
		t.Error("a process that was reaped is no more")
	}
}
