package child_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/exittest"
	"github.com/evfork/evfork/internal/kqsim"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
)

// envProgram has this binary be another program, which is not a worker.
const envProgram = "CHILD_TEST_PROGRAM"

func TestMain(m *testing.M) {
	exittest.Main()
	kqsim.Install()
	if os.Getenv(envProgram) == "forgetful" {
		forgetful()
		os.Exit(0)
	}
	child.Main(child.Workers{"steps": stepsWorker, "tracer": tracerWorker, "dumper": dumperWorker}, child.Workers{"greeter": greeter})
	if os.Getenv(envProgram) == "middle" {
		middle()
	}
	// The race detector has every process sleep for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// guard ends a test that hangs, long after it should have ended.
const guard = 2 * time.Minute

// fixture is a loop for one test.
type fixture struct {
	*reactor.Loop
	t *testing.T
}

// newFixture makes a loop that is verified and closed at the end of the test.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, reactor.Config{})
}

func newFixtureWith(t *testing.T, config reactor.Config) *fixture {
	t.Helper()
	leaktest.Check(t)
	loop, err := reactor.New(config)
	must(t, err)
	t.Cleanup(func() {
		for _, err := range []error{loop.Verify(), loop.Close(), loop.Verify()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return &fixture{loop, t}
}

// closeLoop verifies and closes a loop where there is no test to tell of an error:
// in a worker, whose end tells.
func closeLoop(loop *reactor.Loop) {
	if err := errors.Join(loop.Verify(), loop.Close()); err != nil {
		panic(err)
	}
}

// until runs the loop until cond is true.
func (f *fixture) until(cond func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), guard)
	defer cancel()
	if err := f.RunUntil(ctx, cond); err != nil {
		f.t.Fatalf("the loop ended first: %v", err)
	}
}

// kid is a child and everything that was heard of it.
type kid struct {
	*child.Process
	data          string // from its protocol
	eof           bool
	out, err      strings.Builder
	exits, ends   int
	state         child.ExitState
	cause         error
	exitsAtTheEnd int // OnExit comes before OnEnd
	stream        *reactor.Stream
}

// start starts a child, claims its transport and listens to it.
func (f *fixture) start(config child.Config) *kid {
	f.t.Helper()
	k := f.startUnclaimed(config)
	var err error
	k.stream, err = k.Open(reactor.StreamConfig{
		OnData: func(data []byte) { k.data += string(data) },
		OnEOF:  func() { k.eof = true },
	})
	must(f.t, err)
	k.Ready()
	return k
}

func (f *fixture) startUnclaimed(config child.Config) *kid {
	f.t.Helper()
	k := &kid{}
	if config.OnStdout == nil {
		config.OnStdout = func(data []byte) { k.out.Write(data) }
	}
	if config.OnStderr == nil {
		config.OnStderr = func(data []byte) { k.err.Write(data) }
	}
	proc, err := child.Start(f.Loop, config)
	must(f.t, err)
	k.Process = proc
	proc.OnExit(func(s child.ExitState) { k.exits, k.state = k.exits+1, s })
	proc.OnEnd(func(cause error) { k.ends, k.cause, k.exitsAtTheEnd = k.ends+1, cause, k.exits })
	return k
}

func (k *kid) ended() bool { return k.ends > 0 }

// patient is a ladder on which nobody is hurried to the next step, however long a
// child is held up.
var patient = child.Ladder{CloseWait: guard, TermWait: guard}

// steps configures a worker that does the steps; see stepsWorker.
func steps(steps ...string) child.Config {
	return child.Config{Worker: "steps", Args: steps, Ladder: patient, StartTimeout: guard}
}

// shell configures a shell on stdin and stdout.
func shell(script string) child.Config {
	return child.Config{Path: "sh", Args: []string{"-c", script}, Transport: child.Stdio, Ladder: patient, StartTimeout: guard}
}

// exitError is the cause of the end, which must be one.
func (k *kid) exitError(t *testing.T) *child.ExitError {
	t.Helper()
	var exit *child.ExitError
	if !errors.As(k.cause, &exit) {
		t.Fatalf("the cause of the end is %v, no ExitError", k.cause)
	}
	return exit
}

// saw runs the loop until the child has written text to its protocol.
func (f *fixture) saw(k *kid, text string) {
	f.t.Helper()
	f.until(func() bool { return strings.Contains(k.data, text) || k.ended() })
	if !strings.Contains(k.data, text) {
		f.t.Fatalf("the child ended without saying %q: %v", text, k.cause)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
