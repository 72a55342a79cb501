package reactor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/leaktest"
)

// TestParkedLoopOccupiesNoThread asks the kernel in which system call each thread
// is. The same loop is run by Run first, to see that the answer would be noticed.
func TestParkedLoopOccupiesNoThread(t *testing.T) {
	if _, err := os.ReadFile("/proc/self/syscall"); err != nil {
		t.Skip("the kernel does not tell in which system call a thread is:", err)
	}
	leaktest.Check(t)
	theirs := eventPolls(t) // Go's own
	loop := newParkable(t)
	if loop.Backend() != "epoll" {
		t.Skip("the loop does not wait in epoll_wait")
	}
	ours := eventPolls(t)
	for fd := range theirs {
		delete(ours, fd)
	}
	idle := func(run func(context.Context) error, asleep func() bool) {
		t.Helper()
		defer loop.Hold()()
		ctx, cancel := context.WithCancel(context.Background())
		var runner sync.WaitGroup
		runner.Go(func() { wantErr(t, run(ctx), context.Canceled) })
		defer runner.Wait()
		defer cancel()
		for deadline := time.Now().Add(guard); !asleep(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Error("the loop does not go to sleep")
				return
			}
		}
	}
	idle(loop.Run, func() bool { return threadsWaitingFor(t, ours) == 1 })
	idle(loop.RunParked, func() bool {
		if parkedGoroutines() != 1 {
			return false
		}
		if n := threadsWaitingFor(t, ours); n != 0 {
			t.Errorf("%d threads wait for the loop's poller", n)
		}
		return true
	})
}

// eventPolls returns the numbers of the process's epoll descriptors.
func eventPolls(t testing.TB) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && target == "anon_inode:[eventpoll]" {
			found[fd.Name()] = true
		}
	}
	return found
}

// threadsWaitingFor counts the threads that are in a wait for one of the epoll
// descriptors.
func threadsWaitingFor(t testing.TB, epolls map[string]bool) (n int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/syscall")
	must(t, err)
	for _, path := range tasks {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		// "number arg1 arg2 …", hexadecimal but for the number; or "running".
		fields := strings.Fields(string(raw))
		if len(fields) < 2 {
			continue
		}
		number, _ := strconv.Atoi(fields[0])
		fd, err := strconv.ParseUint(fields[1], 0, 32)
		wait := number == unix.SYS_EPOLL_PWAIT || number == unix.SYS_EPOLL_PWAIT2
		if err == nil && wait && epolls[fmt.Sprint(fd)] {
			n++
		}
	}
	return n
}

// parkedGoroutines counts those that wait in the netpoller inside RunParked.
func parkedGoroutines() (n int) {
	buf := make([]byte, 1<<20)
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "[IO wait") && strings.Contains(stack, "RunParked") {
			n++
		}
	}
	return n
}
