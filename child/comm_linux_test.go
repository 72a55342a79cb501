package child_test

import (
	"fmt"
	"os"
	"testing"
)

// It is "exe" otherwise, after /proc/self/exe, and the same for the workers of all programs.
func TestWorkerHasItsNameInPS(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("say:hello", "wait"))
	f.until(func() bool { return k.data == "hello" })
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", k.PID()))
	must(t, err)
	if string(comm) != "steps\n" {
		t.Errorf("ps shows it as %q", comm)
	}
}
