package main

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestCellShowsTheWorstFirstAndHowOften(t *testing.T) {
	lost := func(n int64) Verdict {
		return Verdict{Kind: loses, Text: fmt.Sprintf("lost %d", n), Weight: n}
	}
	for _, test := range []struct {
		runs []Verdict
		want string
	}{
		{nil, "not run"},
		{[]Verdict{good(""), good("")}, "ok"},
		{[]Verdict{good("3 %% CPU")}, "ok: 3 % CPU"},
		{[]Verdict{lost(5), good(""), lost(7)}, "lost 7 (2 of 3); ok (1 of 3)"},
		{[]Verdict{lost(5), bad(hangs, "hangs")}, "hangs (1 of 2); lost 5 (1 of 2)"},
	} {
		if got := (Cell{Runs: test.runs}).String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestWorseKeepsTheMoreSevere(t *testing.T) {
	small, large := Verdict{Kind: loses, Weight: 1}, Verdict{Kind: loses, Weight: 2}
	hang := bad(hangs, "hangs")
	for _, test := range []struct{ a, b, want Verdict }{
		{good(""), small, small}, {small, large, large}, {large, small, large}, {hang, large, hang}, {large, hang, hang},
	} {
		if got := test.a.worse(test.b); got != test.want {
			t.Errorf("%+v.worse(%+v) = %+v", test.a, test.b, got)
		}
	}
}

func TestErrorsOfTheClientAreVerdicts(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Kind
	}{
		{syscall.ECONNRESET, resets}, {syscall.EPIPE, resets}, {io.EOF, loses}, {syscall.ETIMEDOUT, hangs}, {syscall.EINVAL, failed},
	} {
		if got := badIO("reading", fmt.Errorf("read: %w", test.err)); got.Kind != test.want {
			t.Errorf("%v: %+v, want kind %d", test.err, got, test.want)
		}
	}
}

func TestThousandsAreSeparated(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := group(n); got != want {
			t.Errorf("group(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestOnlyOurOwnFaultsFailTheRun(t *testing.T) {
	lost := []Verdict{bad(loses, "lost")}
	for _, test := range []struct {
		contestant string
		runs       []Verdict
		fails      bool
	}{
		{"nbio", lost, false}, {nameEvfork, lost, true}, {nameEvfork, []Verdict{good("")}, false},
		{"nbio", []Verdict{bad(failed, "driver")}, true},
	} {
		r := Report{Cells: []Cell{{Scenario: "s", Contestant: test.contestant, Runs: test.runs}}}
		if err := r.failure(); (err != nil) != test.fails {
			t.Errorf("%s %v: %v", test.contestant, test.runs, err)
		}
	}
}

// The table of a run that was interrupted spoke of as many runs as had been asked for, and the exit status was 0.
func TestInterruptedRunSaysSo(t *testing.T) {
	r := Report{Options: OptionsSummary{Runs: 2}, Cells: []Cell{{Scenario: "s", Contestant: "x", Runs: []Verdict{good("")}}}}
	if err := r.failure(); err == nil || err.Error() != "interrupted" {
		t.Errorf("failure = %v", err)
	}
	for name, write := range map[string]func(io.Writer) error{"text": r.WriteText, "Markdown": r.WriteMarkdown} {
		var b strings.Builder
		if err := write(&b); err != nil || !strings.Contains(b.String(), interruption) {
			t.Errorf("%s does not say that the run was interrupted: %v\n%s", name, err, b.String())
		}
	}
	r.Options.Runs = 1
	if err := r.failure(); err != nil {
		t.Errorf("failure of a whole run = %v", err)
	}
}

func TestMarkdownHasARowPerScenario(t *testing.T) {
	r := Report{
		Scenarios: []Title{{"a", "first"}, {"b", "second"}},
		Cells: []Cell{
			{Scenario: "a", Contestant: "x", Runs: []Verdict{good("")}}, {Scenario: "a", Contestant: "y", Runs: []Verdict{bad(exits, "exits: a|b")}},
			{Scenario: "b", Contestant: "x"}, {Scenario: "b", Contestant: "y"},
		},
	}
	var b strings.Builder
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	want := "| scenario | x | y |\n|---|---|---|\n| **a**: first | ok | exits: a\\|b (1 of 1) |\n| **b**: second | not run | not run |\n"
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("%s\nwant it to begin with\n%s", b.String(), want)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		args string
		runs int // 0: to be refused
	}{
		{"", 5}, {"-short", 1}, {"-short -runs 3", 3}, {"-seed 7", 5},
		{"-runs 0", 0}, {"-parallel 0", 0}, {"-run (", 0}, {"-contestants (", 0}, {"stray", 0},
	} {
		o, err := parseOptions(strings.Fields(test.args), io.Discard)
		if (err != nil) != (test.runs == 0) {
			t.Errorf("%q: error %v", test.args, err)
		}
		if err == nil && (o.runs != test.runs || o.seed == 0) {
			t.Errorf("%q: %+v", test.args, o)
		}
	}
}

func TestShortIsAboutOursAndTheStandardLibrary(t *testing.T) {
	o, err := parseOptions([]string{"-short", "-run", "^echo"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	chosen := contest().choose(o.contestants, o.scenarios)
	if len(chosen.contestants) != 2 || len(chosen.scenarios) != 2 {
		t.Errorf("%d contestants, %d scenarios", len(chosen.contestants), len(chosen.scenarios))
	}
}
