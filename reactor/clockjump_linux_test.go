package reactor_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// kernelObjects returns the descriptors of the process that refer to a kernel object
// of that kind, and what the kernel says of each.
func kernelObjects(t testing.TB, kind string) (fds []int, infos []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if !strings.Contains(target, kind) {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		must(t, err)
		fd, err := strconv.Atoi(e.Name())
		must(t, err)
		fds, infos = append(fds, fd), append(infos, string(info))
	}
	return fds, infos
}

// timerfds returns what the kernel says of each timerfd of the process.
func timerfds(t testing.TB) []string {
	t.Helper()
	_, infos := kernelObjects(t, "timerfd")
	return infos
}

// TestDescriptorsOfWatchersAreTheLoopsOwn: one per loop and kind, neither inherited
// nor blocking.
func TestDescriptorsOfWatchersAreTheLoopsOwn(t *testing.T) {
	loop := newLoop(t)
	dir := t.TempDir()
	for range 2 {
		var stop []func()
		for range 2 {
			p, err := loop.WatchPath(dir, 0, func(prev, cur reactor.PathInfo) {})
			must(t, err)
			stop = append(stop, p.Stop, loop.At(time.Now().Add(time.Hour), func() {}).Stop)
		}
		for _, kind := range []string{"timerfd", "inotify"} {
			fds, _ := kernelObjects(t, kind)
			if len(fds) != 1 {
				t.Fatalf("%d descriptors of kind %s, want 1", len(fds), kind)
			}
			fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
			must(t, err)
			fl, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0)
			must(t, err)
			if fd&unix.FD_CLOEXEC == 0 || fl&unix.O_NONBLOCK == 0 {
				t.Errorf("%s: descriptor flags %#x, status flags %#x", kind, fd, fl)
			}
		}
		for _, stop := range stop {
			stop()
			verify(t, loop)
		}
		if n := len(timerfds(t)); n != 0 {
			t.Errorf("%d timerfds are left", n)
		}
		// To close it takes too long. The leak check sees that Close does.
		if fds, _ := kernelObjects(t, "inotify"); len(fds) != 1 {
			t.Errorf("%d inotify descriptors are left, want 1", len(fds))
		}
	}
}

// TestTheKernelIsAskedToTellOfJumps: one timerfd for any number of watchers, with
// TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET on CLOCK_REALTIME, for as long as
// there are any. That it does tell shows TestTheKernelTellsThatTheClockWasSet, where that may set the clock.
func TestTheKernelIsAskedToTellOfJumps(t *testing.T) {
	loop := newLoop(t)
	if n := len(timerfds(t)); n != 0 {
		t.Fatalf("%d timerfds before the first watcher", n)
	}
	first := loop.At(time.Now().Add(time.Hour), func() {})
	second := loop.At(time.Now().Add(time.Hour), func() {})
	infos := timerfds(t)
	if len(infos) != 1 {
		t.Fatalf("%d timerfds, want 1", len(infos))
	}
	for _, want := range []string{"clockid: 0\n", "settime flags: 03\n"} {
		if !strings.Contains(infos[0], want) {
			t.Errorf("fdinfo %q lacks %q", infos[0], want)
		}
	}
	first.Stop()
	if n := len(timerfds(t)); n != 1 {
		t.Errorf("%d timerfds while one watcher is left", n)
	}
	second.Stop()
	if n := len(timerfds(t)); n != 0 {
		t.Errorf("%d timerfds after the last watcher", n)
	}
}

// TestNoticeOfAJumpReschedulesAndIsArmedAgain plays the kernel's part: a timerfd
// that has run off is readable like one that was cancelled.
func TestNoticeOfAJumpReschedulesAndIsArmedAgain(t *testing.T) {
	loop := newLoop(t)
	asked := 0
	p := loop.Periodic(func(now time.Time) time.Time {
		asked++
		return now.Add(time.Hour)
	}, func() { t.Error("called") })
	must(t, loop.ExpireJumpNotice())
	pollUntil(t, loop, func() bool { return asked == 2 })
	if info := timerfds(t)[0]; !strings.Contains(info, "settime flags: 03\n") || strings.Contains(info, "it_value: (0, 0)") {
		t.Errorf("not armed again: %q", info)
	}
	events := loop.Stats().Events
	pollTimes(t, loop, 3)
	if loop.Stats().Events != events {
		t.Error("the notice was not taken")
	}
	p.Stop()
}
