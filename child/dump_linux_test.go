package child_test

import (
	"bytes"
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/waitpeek"
	"github.com/evfork/evfork/reactor"
)

// dumperWorker crashes, with a core that takes a moment to be dumped, and nearly no room: what it holds is one page of many.
func dumperWorker(*child.Worker) error {
	size := uint64(8 << 30)
	if strconv.IntSize < 64 {
		return errors.New("there is no room for so large a core")
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	memory, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	memory[0] = 1
	debug.SetTraceback("crash")
	panic("with a core")
}

// A child that had crashed before its handshake, and whose core was being dumped when StartTimeout was over, was put down for that: what
// its parent was told was SIGKILL, and not the signal of the crash.
func TestStartTimeoutDoesNotHideACrashWhoseCoreIsBeingDumped(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil || bytes.ContainsAny(pattern, "|/") {
		t.Skipf("a core would not be left here: %q, %v", pattern, err)
	}
	f := newFixture(t)
	k := f.startUnclaimed(child.Config{Worker: "dumper", Dir: t.TempDir(), StartTimeout: time.Nanosecond})
	ticks := f.Every(time.Millisecond, time.Millisecond, func() {}) // nothing else wakes the loop
	f.until(func() bool { return k.ended() || waitpeek.Exiting(k.PID()) })
	ticks.Stop()
	if k.ended() {
		t.Skip("there is no core, or it was dumped at once: ", k.state)
	}
	_, err = k.Open(reactor.StreamConfig{})
	must(t, err)
	f.until(k.ended)
	exit := k.exitError(t)
	if exit.State.Signal == 0 && exit.Reason == nil {
		t.Skip("it could not crash with a core: ", exit)
	}
	if exit.State.Signal != syscall.SIGABRT || exit.Reason != nil {
		t.Errorf("the cause of the end is: %v", exit)
	}
}
