package reactor_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
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
		err := refuse(unix.SYS_PIDFD_OPEN, unix.EACCES)
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

// Where a filter refused waitid as well, otherwise than by ENOSYS, the error of WatchProcess was the filter's instead of ErrUnsupported.
func TestProcessThatCannotBeWatchedBehindAFilterIsUnsupported(t *testing.T) {
	loop := newLoopWith(t, reactor.Config{Backend: "poll"})
	cat, stdin := startCat(t)
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := errors.Join(refuse(unix.SYS_PIDFD_OPEN, unix.EPERM), refuse(unix.SYS_WAITID, unix.EPERM))
		if err == nil {
			_, err = loop.WatchProcess(cat.Process.Pid, func() {})
		}
		result <- err
	}()
	wantErr(t, <-result, reactor.ErrUnsupported)
	must(t, stdin.Close())
	must(t, cat.Wait())
}

// Likewise epoll_pwait2, which Linux has since 5.11: the first wait for a timer failed, and with it Run.
func TestTimersFireHoweverAFilterRefusesEpollPwait2(t *testing.T) {
	loop := newLoopWith(t, reactor.Config{Backend: "epoll"})
	fired := false
	loop.AfterFunc(time.Millisecond, func() { fired = true })
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := refuse(unix.SYS_EPOLL_PWAIT2, unix.EACCES)
		if err == nil {
			err = loop.Run(context.Background())
		}
		result <- err
	}()
	must(t, <-result)
	if !fired {
		t.Error("the timer did not fire")
	}
}

// refuse has the calling thread get an error from a system call.
func refuse(call uint32, errno unix.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
