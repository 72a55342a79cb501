package reactor_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// setClockVariable has the tests of this file set the machine's clock, for as long as it takes a loop to
// notice, and back. That needs CAP_SYS_TIME, and a machine on which nobody minds.
const setClockVariable = "EVFORK_SET_CLOCK"

// TestTheKernelTellsThatTheClockWasSet sets the real clock forward: what is overdue
// fires, and the other schedules are asked anew.
func TestTheKernelTellsThatTheClockWasSet(t *testing.T) {
	if os.Getenv(setClockVariable) == "" {
		t.Skip("sets the clock of the machine: only with " + setClockVariable + "=1")
	}
	loop := newLoop(t)
	const jump = time.Minute
	fired, asked := false, 0
	loop.At(time.Now().Add(jump/2), func() { fired = true })
	later := loop.Periodic(func(now time.Time) time.Time {
		asked++
		return now.Add(24 * time.Hour)
	}, func() { t.Error("called") })
	restore := setClockForward(t, jump)
	// By the monotonic clock, which a jump leaves alone: without a notice nothing is due before.
	deadline := loop.AfterFunc(jump/3, func() { t.Error("nothing was noticed") })
	for (!fired || asked < 2) && !t.Failed() {
		must(t, loop.Poll(-1))
	}
	restore()
	deadline.Stop()
	for asked < 3 { // set back is set, too
		must(t, loop.Poll(-1))
	}
	later.Stop()
	verify(t, loop)
}

// setClockForward sets the wall clock, and returns what sets it back, which is
// done at the test's end in any case.
func setClockForward(t *testing.T, by time.Duration) (restore func()) {
	t.Helper()
	shift := func(by time.Duration) error {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			return err
		}
		to := unix.NsecToTimespec(now.Nano() + int64(by))
		return unix.ClockSettime(unix.CLOCK_REALTIME, &to)
	}
	if err := shift(by); err != nil {
		t.Fatalf("clock_settime: %v", err)
	}
	isSet := true
	restore = func() {
		if isSet {
			isSet = false
			must(t, shift(-by))
		}
	}
	t.Cleanup(restore)
	return restore
}
