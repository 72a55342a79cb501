package reactor_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// timerfds returns what the kernel says of each timerfd of the process.
func timerfds(t testing.TB) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if !strings.Contains(target, "timerfd") {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		must(t, err)
		found = append(found, string(info))
	}
	return found
}

// TestTheKernelIsAskedToTellOfJumps: one timerfd for any number of watchers, with
// TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET on CLOCK_REALTIME, for as long as
// there are any. That it does tell cannot be tested without setting the clock.
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
