package waitpeek_test

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/waitpeek"
)

// A child that has itself traced by its parent, and stops, was taken for one that has exited: package child did not put it down for
// its start timeout, and without pidfds killed it, and told of its end, at its first signal.
func TestStopOfAChildThatHasItselfTracedIsNoExit(t *testing.T) {
	runtime.LockOSThread() // it is what traces
	defer runtime.UnlockOSThread()
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true} // it stops when it has executed sleep
	if err := cmd.Start(); err != nil {
		t.Skip("tracing is not allowed here: ", err)
	}
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	if exited, err := waitpeek.Exited(cmd.Process.Pid); exited || err != nil {
		t.Errorf("while it is stopped: exited %v, %v", exited, err)
	}
	kill(t, cmd)
	if exited, err := waitpeek.Exited(cmd.Process.Pid); !exited || err != nil {
		t.Errorf("when it was killed: exited %v, %v", exited, err)
	}
	_ = cmd.Wait() // signal: killed
}
