package leaktest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/internal/waitpeek"
)

// recorder is a test that notes its errors instead of failing.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// check runs body, which leaves something, as a test of its own that begins with
// Check, and returns what Check complained about.
func check(t *testing.T, body func()) string {
	t.Helper()
	return checkFor(t, 100*time.Millisecond, body)
}

// checkFor is check with another patience.
func checkFor(t *testing.T, patience time.Duration, body func()) string {
	t.Helper()
	r := &recorder{TB: t}
	leaktest.CheckFor(r, patience)
	body()
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
	return strings.Join(r.errors, "\n")
}

func wantLeak(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("got %q, want it to say %q", got, part)
		}
	}
}

func TestNothingIsReportedWhenNothingIsLeft(t *testing.T) {
	got := checkFor(t, time.Minute, func() { // the goroutine may take as long as it likes to end
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() { close(done) }()
		<-done
		r.Close()
		w.Close()
	})
	if got != "" {
		t.Errorf("got %q", got)
	}
}

func TestLeakedDescriptorIsReported(t *testing.T) {
	var f *os.File
	got := check(t, func() {
		var err error
		if f, err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
	})
	wantLeak(t, got, fmt.Sprintf("descriptor left open: fd %d", f.Fd()))
	f.Close()
}

func TestDescriptorReplacedByAnotherIsReported(t *testing.T) {
	needLinux(t)
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	var again *os.File
	got := check(t, func() {
		f.Close()
		if again, err = os.Open(os.Args[0]); err != nil {
			t.Fatal(err)
		}
	})
	wantLeak(t, got, "descriptor left open: fd", " → "+again.Name())
	again.Close()
}

func TestLeakedGoroutineIsReportedWithItsStack(t *testing.T) {
	stop := make(chan bool)
	got := check(t, func() { go lingerHere(stop) })
	wantLeak(t, got, "goroutine left running", "lingerHere")
	close(stop)
}

func lingerHere(stop chan bool) { <-stop }

func TestZombieIsReported(t *testing.T) {
	needLinux(t)
	cmd := exec.Command("true")
	got := check(t, func() {
		start(t, cmd)
		for exited := false; !exited; time.Sleep(time.Millisecond) {
			var err error
			if exited, err = waitpeek.Exited(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
		}
	})
	wantLeak(t, got, fmt.Sprintf("child process left: pid %d (true)", cmd.Process.Pid), "not reaped")
	cmd.Wait()
}

func TestLivingChildIsReported(t *testing.T) {
	needLinux(t)
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	got := check(t, func() {
		start(t, cmd)
	})
	wantLeak(t, got, fmt.Sprintf("child process left: pid %d (cat)", cmd.Process.Pid), "alive")
	stdin.Close()
	cmd.Wait()
}

// start starts a command; only a machine that does not have it skips the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	err := cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("missing here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func needLinux(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc: only numbers of descriptors, and no processes, are seen here")
	}
}
