package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
)

// asProgram makes the test binary, and the worker that it starts, the program itself; if it is hang, the worker does nothing.
const asProgram = "EVFORK_TEST_UNLINK"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asProgram) == "":
		os.Exit(m.Run())
	case os.Getenv("EVFORK_WORKER") != "" && os.Getenv(asProgram) == "hang":
		time.Sleep(time.Hour) // it is killed
	default:
		main()
	}
}

// The program died of Ctrl-C, and left its folder behind.
func TestInterruptLeavesNoFolder(t *testing.T) {
	leaktest.Check(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folders := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asProgram+"=hang", "TMPDIR="+folders, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); left(t, folders) == 0; time.Sleep(time.Millisecond) { // nobody tells of a folder
		if time.Now().After(end) {
			t.Fatal("the program has made no folder")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the program ended with %v", err)
	}
	if n := left(t, folders); n > 0 {
		t.Errorf("%d folders are left", n)
	}
}

// The program died of what it wrote when nobody read it any more, and left its folder behind.
func TestBrokenPipeLeavesNoFolder(t *testing.T) {
	leaktest.Check(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	folders := t.TempDir()
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+folders, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Stdout = w
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the program ended with %v", err)
	}
	if n := left(t, folders); n > 0 {
		t.Errorf("%d folders are left", n)
	}
}

// left is how many files there are in a folder.
func left(t *testing.T, folder string) int {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
