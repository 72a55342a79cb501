package child_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
)

// The runtime writes the cause first and then the stacks of all goroutines, of which only the last, its own, fitted
// into the tail: the error of a child that had crashed said everything but why.
func TestCauseOfACrashIsInTheError(t *testing.T) {
	crashes := map[string]string{
		"overflow":           "stderr: fatal error: stack overflow",
		"deep-panic:so deep": "stderr: panic: so deep",
	}
	for step, want := range crashes {
		t.Run(step, func(t *testing.T) {
			f := newFixture(t)
			k := f.start(steps("flood:10000", step))
			f.until(k.ended)
			if text := k.cause.Error(); !strings.Contains(text, want) || len(text) > 600 {
				t.Errorf("the error has %d bytes: %s", len(text), text)
			}
		})
	}
}

// What looks like a crash is none if the process went on.
func TestNoCrashIsSeenInAnOrdinaryEnd(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("stderr:panic: recovered\n\ngoroutine 1 [running]:\n", "flood:10000", "exit:1"))
	f.until(k.ended)
	if strings.Contains(string(k.state.Stderr), "recovered") || strings.Contains(k.cause.Error(), "recovered") {
		t.Errorf("%s", k.cause)
	}
}

// eachSplit checks what is kept of text, however it comes.
func eachSplit(t *testing.T, keep int, text, want string) {
	t.Helper()
	for split := range text {
		if got := child.StderrOf(keep, text[:split], text[split:]); got != want {
			t.Fatalf("split at %d: %q", split, got)
		}
	}
	if got := child.StderrOf(keep, strings.Split(text, "")...); got != want {
		t.Errorf("byte by byte: %q", got)
	}
}

// With GOTRACEBACK=crash the other threads report, too. The last of them was taken for the cause: SIGQUIT, whatever the signal was.
func TestReportOfAnotherThreadIsNotTheCause(t *testing.T) {
	const keep, begin = 160, 80
	report := "SIGABRT: abort\nPC=0x7 m=0 sigcode=0\n\ngoroutine 1 gp=0x7 m=0 mp=0x7 [running]:\n"
	thread := "\n-----\n\nSIGQUIT: quit\nPC=0x8 m=1 sigcode=0\n\ngoroutine 0 gp=0x8 m=1 mp=0x8 [idle]:\n"
	text := "log\n" + report + frames + thread + frames + thread + frames
	want := (report + frames)[:begin] + "\n…\n" + text[len(text)-(keep-begin-len("\n…\n")):]
	eachSplit(t, keep, text, want)

	state := child.ExitState{Known: true, Code: 2, Stderr: []byte("log\n" + report + thread + frames + thread + frames + frames)}
	if got := (&child.ExitError{State: state}).Error(); !strings.Contains(got, "stderr: SIGABRT") {
		t.Errorf("the error is %q", got)
	}
}

var frames = strings.Repeat("frame\n", 30)

func TestBeginningOfACrashIsKeptWithItsEnd(t *testing.T) {
	for name, report := range map[string]string{
		"panic":             "panic: so\n\ngoroutine 1 [running]:\n",
		"panic of a panic":  "panic: so [recovered]\n\tpanic: and so\n\ngoroutine 18 [running, locked to thread]:\n",
		"lines":             "panic: so\n\tand\n\t\n\tso\n\ngoroutine 7 [running]:\n",
		"fault":             "panic: so\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x7]\n\ngoroutine 1 [running]:\n",
		"at level system":   "panic: so\n\ngoroutine 1 gp=0xc000002380 m=0 mp=0x7 [running]:\n",
		"fatal":             "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select (no cases)]:\n",
		"of the runtime":    "fatal error: stack overflow\n\nruntime stack:\n",
		"signal":            "SIGQUIT: quit\nPC=0x7 m=0 sigcode=0\n\ngoroutine 0 gp=0x7 m=0 mp=0x7 [idle]:\n",
		"signal in C":       "SIGABRT: abort\nPC=0x7 m=0 sigcode=18446744073709551610\nsignal arrived during cgo execution\n\ngoroutine 1 [syscall]:\n",
		"behind a log line": "panic: so\n\ngoroutine 1 [running]:\n",
	} {
		t.Run(name, func(t *testing.T) {
			noise := "log\n"
			if name == "behind a log line" {
				noise = "panic: no\n\npanic: nor\n"
			}
			const keep, begin = 160, 80
			text := noise + report + frames + "panic: no other\nthe end\n"
			want := (report + frames)[:begin] + "\n…\n" + text[len(text)-(keep-begin-len("\n…\n")):]
			eachSplit(t, keep, text, want)
		})
	}
}

// A line that begins like a crash report was taken for one, and half of what is kept of stderr spent on it, if the program
// exited with the code of those that have crashed.
func TestLineLikeTheFirstOfACrashIsNone(t *testing.T) {
	for _, text := range []string{
		"panic: bad input, going on\n",
		"panic: bad input\n\nnext input\ngoroutine 1 [running]:\n",
		"panic: recovered\ngoroutine 1 [running]:\n",
		"fatal error: the disk is full\n\tgoroutine 1 [running]:\n",
		"panic: recovered\n\ngoroutine 1 is in trouble:\n",
		"panic: recovered\n\ngoroutines [running]:\n",
		"SIGHUP: reading the configuration\n\n",
		"a panic: no\n\ngoroutine 1 [running]:\n",
	} {
		const keep = 40
		text += frames
		eachSplit(t, keep, text, text[len(text)-keep:])
		state := child.ExitState{Known: true, Code: 2, Stderr: []byte(text + strings.Repeat(frames, 2))}
		if e := (&child.ExitError{State: state}).Error(); !strings.HasSuffix(e, "…"+strings.TrimSpace(string(state.Stderr[len(state.Stderr)-401:]))) {
			t.Errorf("not the end of stderr: %s", e)
		}
	}
}

// What a crash has to say may be longer than what is kept of it.
func TestLongCauseOfACrashIsInTheError(t *testing.T) {
	const keep = 4096
	stderr := child.StderrOf(keep, "panic: "+strings.Repeat("so ", keep)+"\n\ngoroutine 1 [running]:\n"+frames)
	e := &child.ExitError{State: child.ExitState{Known: true, Code: 2, Stderr: []byte(stderr)}}
	if text := e.Error(); !strings.Contains(text, "stderr: panic: so so") {
		t.Error(text)
	}
}

// A process that is asked for its stacks ends with them, the first of which says who asked.
func TestSignalOfACrashIsInTheError(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("flood:10000", "signal:3", "wait"))
	f.until(k.ended)
	if text := k.cause.Error(); !strings.Contains(text, "stderr: SIGQUIT: quit") {
		t.Error(text)
	}
}

func TestCrashThatFitsIsKeptAsItIs(t *testing.T) {
	const text = "noise\npanic: it fits\n\ngoroutine 1 [running]:\n"
	for _, keep := range []int{1, 10, 20, 30, len(text) - len("noise\n"), len(text), 4096} {
		t.Run(fmt.Sprint("tail of ", keep), func(t *testing.T) {
			got := child.StderrOf(keep, text)
			if len(got) > keep || keep >= len(text)-len("noise\n") && got != text[max(len(text)-keep, 0):] {
				t.Errorf("%q is kept", got)
			}
		})
	}
}
