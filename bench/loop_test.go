package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"
)

func TestRingPassesEveryByteOn(t *testing.T) {
	for name, open := range ringLoops() {
		t.Run(name, func(t *testing.T) {
			for _, s := range []ringScenario{{"", 10, 3, 100}, {"", 2, 1, 7}, {"", 5, 5, 0}} {
				testRing(t, s, open)
			}
		})
	}
}

func testRing(t *testing.T, s ringScenario, open func() (ringTurns, error)) {
	turns, err := open()
	if err != nil {
		t.Fatal(err)
	}
	ring := &goRing{ringScenario: s, turns: turns, calls: ringCalls{unix.Read, unix.Write}}
	if err := ring.open(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := ring.once(); err != nil {
			t.Fatal(err)
		}
		if want := s.active + s.writes; ring.bytes != want || ring.fired != want {
			t.Errorf("%d of %d: %d bytes read, %d written, want %d", s.active, s.size, ring.bytes, ring.fired, want)
		}
	}
	if err := turns.close(); err != nil {
		t.Error(err)
	}
	for _, pair := range ring.fds {
		pair.close()
	}
}

func TestRingRunsAtLeastOnce(t *testing.T) {
	s := ringScenario{active: 100, writes: 10_000}
	for events, want := range map[int]int{0: 1, 10_100: 1, 252_500: 25} {
		if got := s.runs(events); got != want {
			t.Errorf("%d events are %d runs, want %d", events, got, want)
		}
	}
}

// The generator must be the one of cloop.h: these are its first numbers.
func TestDelaysAreThoseOfC(t *testing.T) {
	random := newDelays()
	for _, want := range []uint64{8748534153485358512, 3040900993826735515, 3453997556048239312} {
		if got := random.next(); got != want>>11 {
			t.Errorf("%d, want %d", got, want>>11)
		}
	}
	for range 1000 {
		if d := random.within(); d < 0 || d >= time.Second {
			t.Fatalf("%v is not within a second", d)
		}
		if i := random.index(7); i < 0 || i >= 7 {
			t.Fatalf("index %d of 7", i)
		}
	}
}

func TestTimersFireThatOften(t *testing.T) {
	for name, timers := range map[string]manyTimers{
		nameEvfork: &evforkTimers{}, nameEvfork + ", made before": &evforkTimers{made: true},
		nameAfterFunc: &runtimeTimers{}, nameAfterFunc + ", made before": &runtimeTimers{made: true},
	} {
		const count = 100
		if err := timers.open(count); err != nil {
			t.Fatal(err)
		}
		for i := range count {
			timers.start(i, time.Hour)
			timers.reset(i, time.Millisecond)
		}
		if err := timers.firedAll(); err != nil || timers.firedSoFar() != count {
			t.Errorf("%s: %d of %d have fired: %v", name, timers.firedSoFar(), count, err)
		}
	}
}

// A loop that is awake is not woken: posts cost it no system call, and an awake
// loop does not block. Samples of a process of their own count nothing else.
func TestPostsToAnAwakeLoopMakeNoSystemCall(t *testing.T) {
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip("the kernel does not count system calls here")
	}
	s := contestants().scenario("L3-4-awake")
	result, err := runInFreshProcess(t.Context(), &entry{
		scenario: s, contestant: s.contestant(nameEvfork), sample: Sample{Calls: 100_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{postWrites, postWaits} {
		if count, counted := result.Extra[name]; !counted || count != 0 {
			t.Errorf("%s: %v, counted: %v", name, count, counted)
		}
	}
}

func TestWriteCallsAreCounted(t *testing.T) {
	before, err := writeCalls()
	if err != nil || before == 0 {
		t.Skipf("the kernel does not count system calls here: %v", err)
	}
	pair, err := openPair()
	if err != nil {
		t.Fatal(err)
	}
	defer pair.close()
	for range 100 {
		if _, err := unix.Write(pair.write, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	after, err := writeCalls()
	if err != nil || after-before < 100 {
		t.Errorf("100 writes are counted as %d: %v", after-before, err)
	}
}

func TestIdleLoopDoesNotWake(t *testing.T) {
	if err := canObserve(); err != nil {
		t.Skip(err)
	}
	result, err := evforkIdle(Sample{Calls: 300})
	if err != nil {
		t.Fatal(err)
	}
	if result.Extra["iterations"] != 0 {
		t.Errorf("%v iterations while idle", result.Extra["iterations"])
	}
}

func TestActivityIsSeen(t *testing.T) {
	if err := canObserve(); err != nil {
		t.Skip(err)
	}
	before, err := activityOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		time.Sleep(time.Millisecond)
	}
	after, err := activityOf(os.Getpid())
	if err != nil || after.switches <= before.switches {
		t.Errorf("%d context switches while sleeping 20 times: %v", after.switches-before.switches, err)
	}
}

func TestMissingHeaderIsNamed(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := buildC("x", fstest.MapFS{"x.c": {Data: []byte("#include <no_such_library.h>\n")}})
	if err == nil || !strings.Contains(err.Error(), "no_such_library.h") {
		t.Errorf("error %v does not say what is missing", err)
	}
}

func TestBuildsAgainWhenASourceBesideItChanges(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	files := fstest.MapFS{
		"x.c": {Data: []byte("#include \"x.h\"\nint main(void) { return STATUS; }\n")},
		"x.h": {Data: []byte("#define STATUS 3\n")},
	}
	first, err := buildC("x", files)
	if err != nil {
		t.Fatal(err)
	}
	files["x.h"] = &fstest.MapFile{Data: []byte("#define STATUS 4\n")}
	second, err := buildC("x", files)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Fatal("the same program for different sources")
	}
	var exit *exec.ExitError
	if err := exec.Command(second).Run(); err == nil || !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("%s ends with %v, want status 4", filepath.Base(second), err)
	}
}
