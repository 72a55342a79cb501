package reactor_test

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The number of a thread was ENOENT. On kernels where that is EINVAL, so was that of a group whose leader has been reaped, and package
// child took a child that somebody else had reaped at once, and that had left a process in its group, for one that had not been started.
func TestNumberOfAThreadOrOfAGroupIsThatOfNoProcess(t *testing.T) {
	loop := newLoop(t)
	_, err := loop.WatchProcess(otherThread(t), func() { t.Error("called for a thread") })
	wantErr(t, err, unix.ESRCH)

	leader := exec.Command("sh", "-c", "sleep 60 >/dev/null 2>&1 &")
	leader.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, leader.Run())
	_, err = loop.WatchProcess(leader.Process.Pid, func() { t.Error("called for a group") })
	wantErr(t, err, unix.ESRCH)
	must(t, unix.Kill(-leader.Process.Pid, unix.SIGKILL))
}

// otherThread is the number of a thread that is there until the end of the test, and not the process's first.
func otherThread(t *testing.T) int {
	tids, end := make(chan int), make(chan struct{})
	t.Cleanup(func() { close(end) })
	for {
		go func() {
			runtime.LockOSThread() // it ends with its thread
			tids <- unix.Gettid()
			<-end
		}()
		if tid := <-tids; tid != unix.Getpid() {
			return tid
		}
	}
}
