package reactor_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/leaktest"
)

// envAlone names the test that this process was started for.
const envAlone = "REACTOR_TEST_ALONE"

// alone has a test run in a process of its own, because it changes something that
// the whole process shares. It returns true there, and the test goes on; here it
// waits for the other's verdict and returns false. The variables are added to
// the other's environment.
func alone(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(envAlone) == t.Name() {
		return true
	}
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*guard)
	defer cancel()
	cmd := aloneCommand(ctx, t, nil, env...)
	out, err := cmd.CombinedOutput()
	aloneVerdict(t, out, err)
	return false
}

// aloneCommand runs this test in a new process, through another program if that is given.
func aloneCommand(ctx context.Context, t *testing.T, through []string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	var parts []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := append(through, self, "-test.run="+strings.Join(parts, "/"), "-test.count=1", "-test.v")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// The race detector has every process sleep for a second before it exits.
	cmd.Env = append(os.Environ(), envAlone+"="+t.Name(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// aloneVerdict passes on what became of the test in the other process, which must
// have run it.
func aloneVerdict(t *testing.T, out []byte, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("the test's own process: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()+" "):
		t.Skipf("skipped in its own process:\n%s", out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Errorf("the test's own process did not run it:\n%s", out)
	}
}
