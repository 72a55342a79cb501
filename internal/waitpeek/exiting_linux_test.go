package waitpeek_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
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
	kill(t, cmd)
	if !waitpeek.Exiting(cmd.Process.Pid) {
		t.Error("a process that was killed is exiting")
	}
	_ = cmd.Wait() // signal: killed
	if waitpeek.Exiting(cmd.Process.Pid) {
		t.Error("a process that was reaped is no more")
	}
}

// kill kills a process, which is dead then, and still there.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// envNumber has this test go on inside a PID namespace of its own, where it gives this number to a process.
const envNumber = "WAITPEEK_TEST_NUMBER"

// TestProcessOfAnotherNamespaceIsNotTakenForOurs: in a PID namespace to which nobody has given a /proc of its own, what
// was asked for was the process that has the same number outside.
func TestProcessOfAnotherNamespaceIsNotTakenForOurs(t *testing.T) {
	if number, inside := os.LookupEnv(envNumber); inside {
		runInside(t, number)
		return
	}
	dead := exec.Command("sleep", "60")
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	kill(t, dead)
	defer dead.Wait()
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	// The race detector has every process sleep for a second before it exits.
	again.Env = append(os.Environ(), envNumber+"="+strconv.Itoa(dead.Process.Pid), "GORACE=atexit_sleep_ms=0")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if uid := os.Geteuid(); uid != 0 {
		again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
	}
	out, err := again.CombinedOutput()
	switch {
	case again.Process == nil:
		t.Skip("there are no new PID namespaces here: ", err)
	case err != nil:
		t.Errorf("%v:\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
}

// runInside is the part of that test which is process 1 of its namespace: what it leaves ends with it.
func runInside(t *testing.T, number string) {
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	last := []byte(strconv.Itoa(n - 1))
	for tries := 0; ; tries++ { // a new thread may be quicker, or a process by which package os tries what there is
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", last, 0); err != nil {
			t.Skip("no number can be chosen here: ", err)
		}
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == n {
			break
		}
		if tries == 100 {
			t.Skipf("the last of many processes has number %d, and not %d", cmd.Process.Pid, n)
		}
	}
	if waitpeek.Exiting(n) {
		t.Error("a process that runs is not exiting")
	}
}
