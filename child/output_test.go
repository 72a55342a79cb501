package child_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
)

func TestOutputIsDelivered(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("print:to stdout\n", "stderr:to stderr\n", "print:and no newline", "say:protocol"))
	f.until(k.ended)
	if k.out.String() != "to stdout\nand no newline" || k.err.String() != "to stderr\n" || k.data != "protocol" {
		t.Errorf("stdout %q, stderr %q, protocol %q", k.out.String(), k.err.String(), k.data)
	}
}

// A child that writes more than any pipe holds is never stuck, with or without
// anybody who wants to see it, and whether or not its transport is open.
func TestOutputNeverBlocksTheChild(t *testing.T) {
	const size = 10 << 20
	for _, claimed := range []bool{true, false} {
		t.Run(fmt.Sprint("claimed ", claimed), func(t *testing.T) {
			f := newFixture(t)
			out, err := 0, 0
			config := steps(fmt.Sprint("flood:", size), "stderr:the end")
			config.OnStdout = func(d []byte) { out += len(d) }
			config.OnStderr = func(d []byte) { err += len(d) }
			k := f.startUnclaimed(config)
			if claimed {
				k = f.start(config)
				out, err = 0, 0
			}
			f.until(k.ended)
			if !claimed && (out != size || err != size+len("the end")) {
				t.Errorf("%d bytes of stdout, %d of stderr", out, err)
			}
			if !k.state.Success() || !strings.HasSuffix(string(k.state.Stderr), "xxx\nthe end") {
				t.Errorf("it %v, stderr ends with %.30q", k.state, k.state.Stderr)
			}
		})
	}
}

func TestOutputIsDrainedWithoutListeners(t *testing.T) {
	f := newFixture(t)
	proc, err := child.Start(f.Loop, steps("flood:1000000", "exit:2"))
	must(t, err)
	var state child.ExitState
	proc.OnExit(func(s child.ExitState) { state = s })
	must(t, f.Run(t.Context()))
	if state.Code != 2 || len(state.Stderr) != 4096 {
		t.Errorf("it %v, with %d bytes of stderr", state, len(state.Stderr))
	}
}

func TestTailOfStderrIsKept(t *testing.T) {
	for keep, want := range map[int]int{0: 4096, 1: 1, 100: 100, 100_000: 100_000} {
		t.Run(fmt.Sprint("tail of ", keep), func(t *testing.T) {
			f := newFixture(t)
			config := steps("flood:300000", "stderr:.")
			config.StderrTail = keep
			k := f.start(config)
			f.until(k.ended)
			text := k.err.String()
			if got := string(k.state.Stderr); len(got) != want || got != text[len(text)-want:] {
				t.Errorf("%d bytes are kept, or others", len(got))
			}
		})
	}
}

func TestTailInTheErrorIsShort(t *testing.T) {
	f := newFixture(t)
	k := f.start(steps("flood:4096", "stderr:the last words", "exit:1"))
	f.until(k.ended)
	if text := k.cause.Error(); len(text) > 600 || !strings.HasSuffix(text, "the last words") || !strings.Contains(text, "stderr: …xxx") {
		t.Errorf("the error has %d bytes: %s", len(text), text)
	}
}

// record is a line of a JSON log.
type record struct {
	Level, Msg, Child, Stream string
	PID                       int
}

// logged runs a child to its end and returns what it logged.
func logged(t *testing.T, steps_ ...string) (k *kid, records []record) {
	t.Helper()
	f := newFixture(t)
	var buf bytes.Buffer
	config := steps(steps_...)
	config.Logger = slog.New(slog.NewJSONHandler(&buf, nil))
	k = f.start(config)
	f.until(k.ended)
	for line := range bytes.Lines(buf.Bytes()) {
		var r record
		must(t, json.Unmarshal(line, &r))
		records = append(records, r)
	}
	return k, records
}

func TestOutputIsLoggedByLines(t *testing.T) {
	k, records := logged(t, "stderr:one\ntwo\r\n\nfour", "stderr:, still\n", "stderr:no newline")
	want := []string{"one", "two", "", "four, still", "no newline"}
	if len(records) != len(want) {
		t.Fatalf("%d records: %v", len(records), records)
	}
	for i, msg := range want {
		if records[i] != (record{"WARN", msg, "steps", "stderr", k.PID()}) {
			t.Errorf("record %d is %+v", i, records[i])
		}
	}
}

func TestStdoutIsLoggedAsInformation(t *testing.T) {
	k, records := logged(t, "print:hello\n")
	if len(records) != 1 || records[0] != (record{"INFO", "hello", "steps", "stdout", k.PID()}) {
		t.Errorf("the records are %+v", records)
	}
}

func TestLongLineIsLoggedInPieces(t *testing.T) {
	const piece = 64 << 10
	_, records := logged(t, "print:"+strings.Repeat("a", 2*piece-10), "print:"+strings.Repeat("a", 20), "print:\nshort\n")
	var lengths []int
	for _, r := range records {
		lengths = append(lengths, len(r.Msg))
	}
	if fmt.Sprint(lengths) != fmt.Sprint([]int{piece, piece, 10, 5}) {
		t.Errorf("the pieces have %v bytes", lengths)
	}
}

// A line that fits exactly is one record, not one and an empty one.
func TestLineOfTheLargestLengthIsOneRecord(t *testing.T) {
	const piece = 64 << 10
	_, records := logged(t, "print:"+strings.Repeat("a", piece)+"\n", "print:b\n")
	var lengths []int
	for _, r := range records {
		lengths = append(lengths, len(r.Msg))
	}
	if fmt.Sprint(lengths) != fmt.Sprint([]int{piece, 1}) {
		t.Errorf("the pieces have %v bytes", lengths)
	}
}
