package reactor_test

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// A seccomp filter that refused pidfds otherwise than by ENOSYS or EPERM (systemd has SystemCallErrorNumber for that) was not taken for one, and
// no process could be watched, nor child started.
func TestProcessIsWatchedHoweverAFilterRefusesPidfds(t *testing.T) {
	loop := newLoopWith(t, reactor.Config{Backend: "poll"})
	cat, stdin := startCat(t)
	exited := false
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // it ends with its thread, which the filter is for
		err := refusePidfds(unix.EACCES)
		if err == nil {
			_, err = loop.WatchProcess(cat.Process.Pid, func() { exited = true })
		}
		result <- err
	}()
	must(t, <-result)
	must(t, stdin.Close())
	run(t, loop)
	if !exited {
		t.Error("the exit was not reported")
	}
	must(t, cat.Wait())
}

// refusePidfds has the calling thread get an error from pidfd_open.
func refusePidfds(errno unix.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PIDFD_OPEN, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
