package child_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// newSurvivor makes a fixture whose loop survives panics, and counts them.
func newSurvivor(t *testing.T) (f *fixture, panics *int) {
	t.Helper()
	panics = new(int)
	return newFixtureWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { *panics++ }}), panics
}

// A callback that panicked while the last bytes of an exited child were taken kept
// it from being reaped: OnExit and OnEnd never came, and Close waited ten seconds for it.
func TestPanicOverTheProtocolsLastBytesLeavesTheEnd(t *testing.T) {
	f, panics := newSurvivor(t)
	k := f.startUnclaimed(steps("say:hello", "print:out", "stderr:err", "exit:3"))
	var closed *reactor.Panic
	s, err := k.Open(reactor.StreamConfig{
		OnData:  func([]byte) { panic("in OnData") },
		OnClose: func(err error) { errors.As(err, &closed) },
	})
	must(t, err)
	must(t, s.Pause()) // so that the exit comes first
	f.until(func() bool { return k.ended() && closed != nil })
	if *panics != 1 || k.exits != 1 || k.ends != 1 || k.state.Code != 3 {
		t.Errorf("%d panics, OnExit was called %d times, OnEnd %d times, it %v", *panics, k.exits, k.ends, k.state)
	}
	if k.out.String() != "out" || k.err.String() != "err" {
		t.Errorf("stdout %q, stderr %q", k.out.String(), k.err.String())
	}
}

// The same of a logger that panics over a last line without its newline.
func TestPanicOverALastLineLeavesTheEnd(t *testing.T) {
	f, panics := newSurvivor(t)
	config := steps("print:out", "stderr:err", "exit:3")
	lines := 0
	config.Logger = panickingLogger{&lines}
	k := f.startUnclaimed(config)
	f.until(k.ended)
	if *panics != 2 || lines != 2 || k.exits != 1 || k.ends != 1 || k.state.Code != 3 {
		t.Errorf("%d panics over %d lines, OnExit was called %d times, OnEnd %d times, it %v", *panics, lines, k.exits, k.ends, k.state)
	}
}

// What a child had written to stderr when OnStderr panicked over it was missing from its ExitState.
func TestPanicInOnStderrLeavesTheTail(t *testing.T) {
	f, panics := newSurvivor(t)
	config := steps("stderr:the last words", "exit:3")
	config.OnStderr = func([]byte) { panic("in OnStderr") }
	k := f.startUnclaimed(config)
	f.until(k.ended)
	if got := string(k.state.Stderr); *panics != 1 || got != "the last words" {
		t.Errorf("%d panics, and %q is kept", *panics, got)
	}
}

type panickingLogger struct{ lines *int }

func (l panickingLogger) Info(string, ...any) { *l.lines++; panic("in Info") }
func (l panickingLogger) Warn(string, ...any) { *l.lines++; panic("in Warn") }

var _ child.Logger = panickingLogger{}

// A panic whose value was reactor.ErrClosed was taken for the end of the loop: OnExit and
// OnEnd were called for a child that was still running, and Close waited ten seconds for it.
func TestPanicWithErrClosedIsNotTheEndOfTheLoop(t *testing.T) {
	f, panics := newSurvivor(t)
	k := f.startUnclaimed(steps("say:hello", "eof", "exit:3"))
	_, err := k.Open(reactor.StreamConfig{OnData: func([]byte) { panic(reactor.ErrClosed) }})
	must(t, err)
	f.until(k.ended)
	if exit := k.exitError(t); *panics != 1 || !exit.State.Known || exit.State.Code != 3 {
		t.Errorf("%d panics, it %v", *panics, exit.State)
	}
}

// A child that was busy when a callback panicked, which closes its protocol, was said to have closed that itself.
func TestPanicIsNotHeldAgainstTheChild(t *testing.T) {
	f, panics := newSurvivor(t)
	config := steps("say:hello", "wait")
	config.Ladder = atOnce
	k := f.startUnclaimed(config)
	_, err := k.Open(reactor.StreamConfig{OnData: func([]byte) { panic("in OnData") }})
	must(t, err)
	f.until(k.ended)
	if _, blamed := errors.AsType[*reactor.Panic](k.cause); !blamed || errors.Is(k.cause, child.ErrClosedPipe) || *panics != 1 {
		t.Errorf("it ended with %v, after %d panics", k.cause, *panics)
	}
}

// A panic in OnClose of a protocol that could not be read kept the child from being put down.
func TestPanicInOnCloseDoesNotSpareTheChild(t *testing.T) {
	f, panics := newSurvivor(t)
	config := steps("wait")
	config.Ladder = atOnce
	k := f.startUnclaimed(config)
	s, err := k.Open(reactor.StreamConfig{OnClose: func(error) { panic("in OnClose") }})
	must(t, err)
	failReading(t, s)
	f.until(k.ended)
	if *panics != 1 || !errors.Is(k.cause, syscall.EISDIR) {
		t.Errorf("%d panics, it ended with %v", *panics, k.cause)
	}
}

// When the loop had failed, such a panic kept OnEnd from being called.
func TestPanicInOnCloseOfAFailedLoopLeavesTheEnd(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(steps("wait"))
	_, err := k.Open(reactor.StreamConfig{OnClose: func(error) { panic("in OnClose") }})
	must(t, err)
	f.AfterFunc(0, func() { panic("in a timer") })
	leaveRun(f)
	if k.exits != 1 || k.ends != 1 || k.cause != reactor.ErrClosed {
		t.Errorf("OnExit was called %d times, OnEnd %d times, with %v", k.exits, k.ends, k.cause)
	}
}

// leaveRun runs a loop until a panic leaves it.
func leaveRun(f *fixture) {
	defer func() { recover() }()
	_ = f.Run(f.t.Context())
	f.t.Error("no panic")
}

// A panic in one of several functions given to OnExit or OnEnd kept those after it from being
// called: with a user's OnEnd before a client's, no call of that client ever ended. And of several
// panics only the last was heard of.
func TestPanicInOneOnEndDoesNotKeepOthersFromTheirs(t *testing.T) {
	f, panics := newSurvivor(t)
	proc, err := child.Start(f.Loop, steps("exit:3"))
	must(t, err)
	var calls string
	for _, name := range []string{"1", "2", "3"} {
		proc.OnExit(func(child.ExitState) { calls += "exit" + name + " "; panic("in OnExit") })
		proc.OnEnd(func(error) { calls += "end" + name + " "; panic("in OnEnd") })
	}
	f.until(func() bool { return *panics > 0 })
	if calls != "exit1 exit2 exit3 end1 end2 end3 " {
		t.Errorf("called were %s", calls)
	}
	if *panics != 6 {
		t.Errorf("%d of 6 panics were heard of", *panics)
	}
}

// When a loop failed, OnExit and OnEnd of children whose transport had not been opened, or had
// been closed again, were never called; and a panic in one of them kept others from theirs.
func TestEveryChildOfAFailedLoopIsToldOnce(t *testing.T) {
	f := newFixture(t)
	var kids []*kid
	for i := range 6 {
		k := f.startUnclaimed(steps("wait"))
		if i%3 > 0 {
			s, err := k.Open(reactor.StreamConfig{})
			must(t, err)
			if i%3 > 1 {
				s.Close()
			}
		}
		k.OnEnd(func(error) { panic("in OnEnd") })
		kids = append(kids, k)
	}
	f.AfterFunc(0, func() { panic("in a timer") })
	leaveRun(f)
	must(t, f.Close())
	for i, k := range kids {
		if k.exits != 1 || k.ends != 1 || k.cause != reactor.ErrClosed || k.state.Known {
			t.Errorf("child %d: OnExit was called %d times, OnEnd %d times, with %v; it %v", i, k.exits, k.ends, k.cause, k.state)
		}
	}
}

// When bytes for a child had been lost before its loop failed, its stream ended with the reason for that, which was
// not taken for the end of the loop: OnExit and OnEnd were never called.
func TestChildThatDidNotReadIsToldOfAFailedLoop(t *testing.T) {
	f := newFixture(t)
	k := f.startUnclaimed(steps("close", "wait"))
	s, err := k.Open(reactor.StreamConfig{OnWriteError: func(error) { panic("in OnWriteError") }})
	must(t, err)
	must(t, s.Write(make([]byte, 1<<20))) // more than the pipe takes
	leaveRun(f)
	if k.exits != 1 || k.ends != 1 || k.cause != reactor.ErrClosed {
		t.Errorf("OnExit was called %d times, OnEnd %d times, with %v", k.exits, k.ends, k.cause)
	}
}
