package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/leaktest"
)

// asProgram makes the test binary, and the worker that it starts, the program itself; but the worker dies at once.
const asProgram = "EVFORK_TEST_TIMERS"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asProgram) == "":
		os.Exit(m.Run())
	case os.Getenv("EVFORK_WORKER") != "":
		os.Exit(3)
	default:
		main()
	}
}

// The program printed that its child was lost, and ended as if all was well.
func TestLossOfTheChildIsAFailure(t *testing.T) {
	leaktest.Check(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "exited with code 3") {
		t.Errorf("the program ended with %v, and said %q", err, out)
	}
}
