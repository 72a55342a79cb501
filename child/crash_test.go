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

func TestBeginningOfACrashIsKeptWithItsEnd(t *testing.T) {
	long := strings.Repeat("frame\n", 1000)
	crash := "panic: early\n" + long + "fatal error: the cause\n\ngoroutine 1:\n" + long + "fatal: no mark\nthe end\n"
	const keep = 64
	text := "log\n" + crash
	want := "fatal error: the cause\n\ngoroutin" + "\n…\n" + text[len(text)-(keep-32-len("\n…\n")):]
	for split := range text {
		if got := child.StderrOf(keep, text[:split], text[split:]); got != want {
			t.Fatalf("split at %d: %q", split, got)
		}
	}
	if got := child.StderrOf(keep, strings.Split(text, "")...); got != want {
		t.Errorf("byte by byte: %q", got)
	}
}

func TestCrashThatFitsIsKeptAsItIs(t *testing.T) {
	const text = "noise\npanic: it fits\n\ngoroutine 1\n"
	for _, keep := range []int{1, 10, 20, 30, len(text) - len("noise\n"), len(text), 4096} {
		t.Run(fmt.Sprint("tail of ", keep), func(t *testing.T) {
			got := child.StderrOf(keep, text)
			if len(got) > keep || keep >= len(text)-len("noise\n") && got != text[max(len(text)-keep, 0):] {
				t.Errorf("%q is kept", got)
			}
		})
	}
}
