// Package leaktest fails a test that leaves something behind: descriptors,
// goroutines or child processes that were not there when it began.
//
//	func TestSomething(t *testing.T) {
//		leaktest.Check(t) // first: it looks again after every other Cleanup
//		…
//	}
//
// A test that uses it must not run in parallel with others, whose things it
// would take for its own. On Linux it sees all three kinds; elsewhere it sees
// goroutines, and descriptors without what they refer to.
package leaktest

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long something may take to disappear. Goroutines end after
// whatever they told their test, and a killed process is not gone at once: on a
// machine with more to do than processors, it may be a while.
const patience = 30 * time.Second

// Check notes what the process has now and, when the test and its Cleanups are
// done, reports as errors of the test what has been added. Call it first.
func Check(t testing.TB) {
	t.Helper()
	check(t, patience)
}

func check(t testing.TB, patience time.Duration) {
	settleRuntime()
	before := take()
	t.Cleanup(func() {
		leaks := before.leaks()
		for deadline := time.Now().Add(patience); len(leaks) > 0 && time.Now().Before(deadline); leaks = before.leaks() {
			runtime.Gosched()
			time.Sleep(time.Millisecond)
		}
		for _, leak := range leaks {
			t.Errorf("leaktest: %s", leak)
		}
	})
}

// A snapshot is what there is at one moment: identities, each with a description.
type snapshot struct {
	fds        map[string]string
	goroutines map[string]string
	children   map[string]string
}

func take() snapshot {
	return snapshot{fds: openFDs(), goroutines: goroutines(), children: children()}
}

// leaks describes what has been added since the snapshot.
func (before snapshot) leaks() []string {
	now := take()
	return slices.Concat(
		added("descriptor left open", before.fds, now.fds),
		added("goroutine left running", before.goroutines, now.goroutines),
		added("child process left", before.children, now.children),
	)
}

func added(what string, before, now map[string]string) (leaks []string) {
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, was := before[id]; !was {
			leaks = append(leaks, fmt.Sprintf("%s: %s", what, now[id]))
		}
	}
	return leaks
}

// goroutines returns the stacks of all goroutines by their number, without the
// caller's and those that the standard library starts once and never ends.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := make(map[string]string)
	stacks := strings.Split(string(buf), "\n\n")
	for _, stack := range stacks[1:] { // the first is the caller's
		if strings.Contains(stack, "os/signal.signal_recv") || strings.Contains(stack, "runtime.ensureSigM") {
			continue
		}
		// "goroutine 7 [chan receive]:"
		id, _, _ := strings.Cut(stack, " [")
		found[id] = strings.TrimSpace(stack)
	}
	return found
}
