package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/evfork/evfork/internal/leaktest"
)

// asProgram makes the test binary, and the workers that it starts, the program itself.
const asProgram = "EVFORK_TEST_FANOUT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is the program with arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	leaktest.Check(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	// The race detector has every process sleep for a second before it exits.
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// Ctrl-C amid more jobs than anybody could wait for: those that were begun are finished, and
// the program ends well.
func TestInterruptFinishesWhatWasBegun(t *testing.T) {
	cmd := program(t, "-jobs", "2000000000")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	progress := bufio.NewReader(stderr)
	for range 3 { // numbers
		if _, err := progress.ReadString('\r'); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(progress)
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, rest)
	}
	if !regexp.MustCompile(`\r[0-9]+ of 2000000000, 0 lost\n$`).Match(rest) || stdout.Len() > 0 {
		t.Errorf("at the end there is %q, and on stdout %q", rest, stdout.Bytes())
	}
}

// The first error that is not to be survived ends the program.
func TestLossOfTheLastWorkerIsTheEnd(t *testing.T) {
	out, err := program(t, "-die", "-workers", "1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no worker is left") || !strings.Contains(string(out), "exited with code 3") {
		t.Errorf("the program ended with %v, and said %q", err, out)
	}
}

// A number of workers below none was a panic.
func TestNoWorkersAreAnError(t *testing.T) {
	for _, workers := range []string{"0", "-1"} {
		out, err := program(t, "-workers", workers).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "no clients") || strings.Contains(string(out), "panic") {
			t.Errorf("the program ended with %v, and said %q", err, out)
		}
	}
}
