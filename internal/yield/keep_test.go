package yield_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/internal/yield"
)

const aloneEnv = "EVFORK_YIELD_ALONE"

// TestMain is all there is in the process that TestAloneItKeepsItsProcessor starts: one goroutine.
func TestMain(m *testing.M) {
	if os.Getenv(aloneEnv) == "" {
		os.Exit(m.Run())
	}
	if err := judgeAlone(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// judgeAlone asks Keep in a process whose only goroutine is this one, and then beside another.
func judgeAlone() error {
	const never = time.Duration(-1)
	from := 100 * time.Microsecond
	if yield.OneCPU {
		from = 20 * time.Microsecond
	}
	for _, c := range []struct {
		round      time.Duration
		processors int
		want       bool
	}{
		{never, 1, false},
		{0, 1, false},
		{from - 1, 1, false},
		{from, 1, true},
		{yield.Slice - 1, 1, true},
		{yield.Slice, 1, false}, // what a wait in vain has taken
		{time.Hour, 1, false},
		{from, 2, false}, // the monitor takes nothing from a call while another processor is idle
	} {
		runtime.GOMAXPROCS(c.processors)
		if got := yield.Keep(c.round, 1); got != c.want {
			return fmt.Errorf("Keep(%v) with GOMAXPROCS=%d is %t", c.round, c.processors, got)
		}
	}
	runtime.GOMAXPROCS(1)
	end := make(chan bool)
	go func() { <-end }()
	defer close(end)
	if yield.Keep(from, 1) {
		return fmt.Errorf("Keep(%v) is true beside another goroutine", from)
	}
	if !yield.Keep(from, 2) {
		return fmt.Errorf("Keep(%v) is false beside a goroutine of one's own", from)
	}
	return nil
}

// TestAloneItKeepsItsProcessor: who has it would keep it from nobody. A test has other goroutines beside it.
func TestAloneItKeepsItsProcessor(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	// The race detector has every process sleep for a second before it exits.
	cmd.Env = append(os.Environ(), aloneEnv+"=1", "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAwaitEnds, by input or without.
func TestAwaitEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	yield.Await(int(r.Fd())) // or hangs for ever
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	yield.Await(int(r.Fd()))
	var one [1]byte
	if n, err := r.Read(one[:]); n != 1 || one[0] != 'x' {
		t.Errorf("read %q, %v after it", one[:n], err)
	}
}
