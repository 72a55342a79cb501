package child_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

var (
	atOnce = child.Ladder{CloseWait: -1, TermWait: -1}
	quick  = child.Ladder{CloseWait: 10 * time.Millisecond, TermWait: 10 * time.Millisecond}
)

func TestExitStateSaysHowTheProcessEnded(t *testing.T) {
	tests := []struct {
		step   string
		text   string
		code   int
		signal syscall.Signal
	}{
		{"exit:0", "exited with code 0", 0, 0},
		{"exit:42", "exited with code 42", 42, 0},
		{"fail:oops", "exited with code 1", 1, 0},
		{"signal:9", "killed by signal 9 (killed)", -1, syscall.SIGKILL},
		{"signal:15", "killed by signal 15 (terminated)", -1, syscall.SIGTERM},
	}
	for _, test := range tests {
		t.Run(test.step, func(t *testing.T) {
			f := newFixture(t)
			k := f.start(steps(test.step, "wait"))
			f.until(k.ended)
			s := k.state
			if !s.Known || s.Code != test.code || s.Signal != test.signal || s.Asked != child.AskedByNobody || s.String() != test.text {
				t.Errorf("it %v: %+v", s, s)
			}
			if s.Success() != (test.step == "exit:0") {
				t.Errorf("success is %v", s.Success())
			}
			if s.Rusage.Maxrss == 0 || s.Lifetime <= 0 {
				t.Errorf("usage %+v in %v", s.Rusage, s.Lifetime)
			}
			if k.exits != 1 || k.ends != 1 || k.exitsAtTheEnd != 1 {
				t.Errorf("OnExit was called %d times, OnEnd %d times", k.exits, k.ends)
			}
			exit := k.exitError(t)
			if exit.PID != k.PID() || exit.Name != "steps" || exit.Reason != nil || exit.State.String() != test.text {
				t.Errorf("the cause is %+v", exit)
			}
		})
	}
}

func TestCoreDumpIsReported(t *testing.T) {
	const abortWithCore, abort = 0x80 | 6, 6
	if s := child.ExitStateOf(abortWithCore); !s.Core || s.String() != "killed by signal 6 (aborted), core dumped" {
		t.Errorf("with a core: %v", s)
	}
	if s := child.ExitStateOf(abort); s.Core || s.String() != "killed by signal 6 (aborted)" {
		t.Errorf("without one: %v", s)
	}
}

func TestWorkersErrorIsOnStderr(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("fail:no more cheese"))
	f.until(k.ended)
	want := fmt.Sprintf(`child "steps" (pid %d) exited with code 1; stderr: worker steps: no more cheese`, k.PID())
	if got := k.cause.Error(); got != want {
		t.Errorf("the cause is %q", got)
	}
}

// A parent that logs its children's stderr has it twice if it logs their errors.
func TestBriefIsTheErrorWithoutStderr(t *testing.T) {
	e := &child.ExitError{Name: "steps", PID: 7, State: child.ExitState{Known: true, Code: 3}}
	for _, reason := range []error{nil, errors.New("enough")} {
		e.Reason, e.State.Stderr = reason, nil
		brief := e.Brief()
		if e.Error() != brief || !strings.Contains(brief, `"steps" (pid 7) `) || !strings.HasSuffix(brief, "exited with code 3") {
			t.Errorf("%q is brief for %q", brief, e.Error())
		}
		if reason != nil && !strings.Contains(brief, "put down: enough") {
			t.Errorf("%q lacks the reason", brief)
		}
		e.State.Stderr = []byte("two\nlines\n")
		if e.Brief() != brief || e.Error() != brief+"; stderr: two\nlines" {
			t.Errorf("%q is brief for %q", e.Brief(), e.Error())
		}
	}
}

func TestWhoAskedForTheEnd(t *testing.T) {
	tests := []struct {
		name  string
		ask   func(k *kid) error
		asked child.Asked
	}{
		{"kill", func(k *kid) error { return k.Kill() }, child.AskedByKill},
		{"stop", func(k *kid) error { return k.StopWith(atOnce) }, child.AskedByStop},
		{"abort", func(k *kid) error { k.Abort(errors.New("bad manners")); return nil }, child.AskedByAbort},
		{"signal", func(k *kid) error { return k.Signal(syscall.SIGKILL) }, child.AskedByNobody},
		{"kill -9", func(k *kid) error { return syscall.Kill(k.PID(), syscall.SIGKILL) }, child.AskedByNobody},
		{"stop, then kill", func(k *kid) error { return errors.Join(k.Stop(), k.Loop().Poll(0), k.Kill()) }, child.AskedByStop},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			k := f.start(steps("wait"))
			must(t, test.ask(k))
			f.until(k.ended)
			if k.state.Asked != test.asked || k.state.Signal != syscall.SIGKILL {
				t.Errorf("it %v, asked for by %d, want %d", k.state, k.state.Asked, test.asked)
			}
		})
	}
}

func TestAbortGivesTheReason(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("wait"))
	first, second := errors.New("bad manners"), errors.New("worse")
	k.Abort(first)
	k.Abort(second)
	f.until(k.ended)
	exit := k.exitError(t)
	if exit.Reason != first || !errors.Is(k.cause, first) || exit.Clean() {
		t.Errorf("the cause is %+v", exit)
	}
	if want := fmt.Sprintf(`child "steps" (pid %d) was put down: bad manners; killed by signal 9 (killed)`, k.PID()); k.cause.Error() != want {
		t.Errorf("the cause reads %q", k.cause)
	}
}

// Each step of the ladder is climbed only if the one before did not help.
func TestStopLadder(t *testing.T) {
	tests := []struct {
		name   string
		steps  []string
		ladder child.Ladder
		ends   string
	}{
		{"ends at the EOF", []string{"say:ready", "eof", "exit:5"}, patient, "exited with code 5"},
		{"ends at SIGTERM", []string{"say:ready", "wait"}, child.Ladder{CloseWait: time.Millisecond, TermWait: guard}, "killed by signal 15 (terminated)"},
		{"SIGTERM without a wait", []string{"say:ready", "wait"}, child.Ladder{CloseWait: -1, TermWait: guard}, "killed by signal 15 (terminated)"},
		{"ends at SIGKILL", []string{"ignore-term", "say:ready", "wait"}, quick, "killed by signal 9 (killed)"},
		{"SIGKILL without SIGTERM", []string{"say:ready", "wait"}, atOnce, "killed by signal 9 (killed)"},
	}
	for _, test := range tests {
		for _, claimed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, claimed %v", test.name, claimed), func(t *testing.T) {
				f := newFixture(t)
				config := steps(test.steps...)
				config.Ladder = test.ladder
				var k *kid
				if claimed {
					k = f.start(config)
					f.saw(k, "ready")
				} else {
					config.Args = append([]string{test.steps[0], "stderr:up"}, test.steps[1:]...)
					k = f.startUnclaimed(config)
					f.until(func() bool { return k.err.Len() > 0 })
				}
				must(t, k.Stop())
				f.until(k.ended)
				if k.state.String() != test.ends || k.state.Asked != child.AskedByStop {
					t.Errorf("it %v, asked for by %d", k.state, k.state.Asked)
				}
			})
		}
	}
}

// What was written before Stop is flushed before the EOF.
func TestStopFlushesFirst(t *testing.T) {
	f := newFixture(t)
	k := f.start(shell("wc -c"))
	must(t, k.stream.Write(make([]byte, 1_000_000)))
	must(t, k.Stop())
	f.until(k.ended)
	if strings.TrimSpace(k.data) != "1000000" || !k.state.Success() {
		t.Errorf("it read %s bytes and %v", k.data, k.state)
	}
}

func TestSignalsAfterTheEndAreRefused(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps())
	f.until(k.ended)
	for name, err := range map[string]error{"Signal": k.Signal(syscall.SIGTERM), "Kill": k.Kill()} {
		if !errors.Is(err, child.ErrExited) {
			t.Errorf("%s returned %v", name, err)
		}
	}
	must(t, k.Stop()) // asks for what has happened
	must(t, f.Run(t.Context()))
}

func TestSignalReachesTheProcess(t *testing.T) {
	f := newFixture(t)
	k := f.start(shell("trap 'echo got it; exit 0' USR1; echo ready; while :; do sleep 0.01; done"))
	f.saw(k, "ready")
	must(t, k.Signal(syscall.SIGUSR1))
	f.until(k.ended)
	if k.data != "ready\ngot it\n" || !k.state.Success() {
		t.Errorf("it says %q and %v", k.data, k.state)
	}
}

// The last bytes of a child come before its end, whatever it died of.
func TestLastBytesComeBeforeTheEnd(t *testing.T) {
	for _, last := range []string{"exit:0", "signal:9"} {
		t.Run(last, func(t *testing.T) {
			f := newFixture(t)
			text := strings.Repeat("x", 60_000)
			k := f.startUnclaimed(steps("say:"+text, "stderr:err", "print:out", last))
			seen := ""
			_, err := k.Open(reactor.StreamConfig{OnData: func(d []byte) { seen += string(d) }})
			must(t, err)
			var atTheEnd int
			var out, errText string
			k.OnEnd(func(error) { atTheEnd, out, errText = len(seen), k.out.String(), k.err.String() })
			f.until(k.ended)
			if atTheEnd != len(text) || out != "out" || errText != "err" {
				t.Errorf("%d bytes, %q and %q had come", atTheEnd, out, errText)
			}
		})
	}
}

func TestOnExitAndOnEndAfterTheEndAreCalledOnce(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("exit:4"))
	f.until(k.ended)
	exits, ends, inside := 0, 0, true
	k.OnExit(func(s child.ExitState) {
		exits++
		if inside || s.Code != 4 {
			t.Errorf("inside OnExit %v, %v", inside, s)
		}
	})
	k.OnEnd(func(cause error) {
		ends++
		if inside || cause != k.cause {
			t.Errorf("inside OnEnd %v, %v", inside, cause)
		}
	})
	inside = false
	must(t, f.Run(t.Context()))
	if exits != 1 || ends != 1 || k.exits != 1 || k.ends != 1 {
		t.Errorf("called %d, %d, %d and %d times", exits, ends, k.exits, k.ends)
	}
}

func TestNoHandshakePutsTheChildDown(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.StartTimeout = time.Millisecond
	k := f.startUnclaimed(config)
	_, err := k.Open(reactor.StreamConfig{})
	must(t, err)
	f.until(k.ended)
	if !errors.Is(k.cause, child.ErrStartTimeout) || k.state.Asked != child.AskedByAbort {
		t.Errorf("the cause is %v, asked for by %d", k.cause, k.state.Asked)
	}
}

func TestHandshakeEndsTheStartTimeout(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.StartTimeout = 20 * time.Millisecond
	k := f.start(config) // which says Ready
	later := false
	f.AfterFunc(60*time.Millisecond, func() { later = true })
	f.until(func() bool { return later })
	if k.ended() {
		t.Errorf("it ended: %v", k.cause)
	}
}

// Before its transport is opened nobody expects a handshake.
func TestStartTimeoutRunsFromOpen(t *testing.T) {
	f := newFixture(t)
	config := steps("wait")
	config.StartTimeout = time.Millisecond
	k := f.startUnclaimed(config)
	later := false
	f.AfterFunc(30*time.Millisecond, func() { later = true })
	f.until(func() bool { return later })
	if k.ended() {
		t.Errorf("it ended: %v", k.cause)
	}
}

func TestChildThatClosesItsOutputAndStaysIsPutDown(t *testing.T) {
	f := newFixture(t)
	config := shell("exec 1>&-; sleep 1000")
	config.Ladder = atOnce
	k := f.start(config)
	f.until(k.ended)
	if !k.eof || !errors.Is(k.cause, child.ErrClosedPipe) || k.state.Signal != syscall.SIGKILL {
		t.Errorf("EOF %v, cause %v", k.eof, k.cause)
	}
}

func TestChildThatClosesItsInputAndStaysIsPutDown(t *testing.T) {
	f := newFixture(t)
	config := shell("exec 0<&-; exec sleep 1000 <&-")
	config.Ladder = atOnce
	k := f.start(config)
	f.until(k.ended)
	if !errors.Is(k.cause, child.ErrClosedPipe) || k.state.Signal != syscall.SIGKILL {
		t.Errorf("cause %v", k.cause)
	}
}

// A child that closes its output first and exits soon after is no offender. The loop's
// time stands still, so that it is soon, however long the child takes.
func TestChildThatClosesItsOutputAndExitsIsNotPutDown(t *testing.T) {
	f := newFixtureWith(t, reactor.Config{Clock: reactortest.NewClock()})
	k := f.start(shell("exec 1>&-; exit 6"))
	f.until(k.ended)
	if exit := k.exitError(t); exit.Reason != nil || exit.State.Code != 6 {
		t.Errorf("the cause is %v", k.cause)
	}
}

// The grandchild holds all pipes, and would for ever: it is ended with the group.
func TestGrandchildDoesNotDelayTheEnd(t *testing.T) {
	for _, transport := range []child.Transport{child.Stdio, child.Pipes} {
		t.Run(fmt.Sprint("transport ", transport), func(t *testing.T) {
			f := newFixture(t)
			config := shell("sleep 1000 & echo $! >&2; exit 3")
			config.Transport = transport
			k := f.start(config)
			f.until(k.ended)
			if k.state.Code != 3 {
				t.Errorf("it %v", k.state)
			}
			if k.eof {
				t.Error("EOF came: nobody held the pipe")
			}
			f.isGone(k.err.String())
		})
	}
}

// isGone fails the test unless the process ends, which is not our child.
func (f *fixture) isGone(pid string) {
	f.t.Helper()
	n := 0
	fmt.Sscan(pid, &n)
	if n == 0 {
		f.t.Fatalf("%q is no pid", pid)
	}
	for deadline := time.Now().Add(guard); time.Now().Before(deadline); {
		if err := syscall.Kill(n, 0); err != nil || isZombie(n) {
			return // one that init has not reaped yet has ended, too
		}
		must(f.t, f.Poll(time.Millisecond))
	}
	f.t.Fatalf("process %d lives on", n)
}

func TestKillKillsTheGroup(t *testing.T) {
	f := newFixture(t)
	k := f.start(shell("sleep 1000 & echo $!; wait"))
	f.saw(k, "\n")
	must(t, k.Kill())
	f.until(k.ended)
	f.isGone(k.data)
}

func TestChildLeadsItsOwnGroup(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("say:up", "wait"))
	group, err := syscall.Getpgid(k.PID())
	if err != nil || group != k.PID() {
		t.Errorf("its group is %d, %v", group, err)
	}
}

func TestSharedGroupLeavesTheChildInOurs(t *testing.T) {
	f := newFixture(t)
	config := shell("sleep 1000 & echo $!; wait")
	config.SharedGroup = true
	k := f.start(config)
	f.saw(k, "\n")
	group, err := syscall.Getpgid(k.PID())
	if err != nil || group != syscall.Getpgrp() {
		t.Errorf("its group is %d, %v", group, err)
	}
	must(t, k.Kill())
	f.until(k.ended)
	grandchild := 0
	fmt.Sscan(k.data, &grandchild)
	if err := syscall.Kill(grandchild, syscall.SIGKILL); err != nil {
		t.Errorf("the grandchild was killed, too: %v", err)
	}
	f.isGone(k.data)
}

// Somebody has called wait4(-1) and has the state: no hang, and no lie.
func TestProcessReapedElsewhereIsUnknown(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("exit:3"))
	_, err := syscall.Wait4(k.PID(), nil, 0, nil)
	must(t, err)
	f.until(k.ended)
	if k.state.Known || k.state.Success() || k.exitError(t).Clean() {
		t.Errorf("the state is %+v", k.state)
	}
	if want := "ended in an unknown way, reaped elsewhere"; !strings.Contains(k.cause.Error(), want) {
		t.Errorf("the cause is %v", k.cause)
	}
}
