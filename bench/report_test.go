package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// sampleReport has a row of every kind: reference, compared, skipped, failed.
func sampleReport() Report {
	s := &Scenario{ID: "X1", Title: "a scenario", Unit: "calls/s", HigherIsBetter: true, Reference: "ref"}
	s.Contestants = []Contestant{{Name: "ref"}, {Name: "ours", GoParent: true}, {Name: "absent"}, {Name: "broken"}}
	of := func(i int, e entry) *entry {
		e.scenario, e.contestant = s, &s.Contestants[i]
		return &e
	}
	ours := []Result{{Value: 50, Extra: map[string]float64{"allocs/call": 2}}, {Value: 300}}
	return Report{
		Environment: Environment{Date: "today", Commit: "abc-dirty", Go: "go1", Kernel: "Linux 6", CPU: "fast", Cores: 2},
		Options:     OptionsSummary{Rounds: 2},
		Scenarios: []ScenarioReport{summarize(s, []*entry{
			of(0, entry{results: []Result{{Value: 100}, {Value: 200}}}),
			of(1, entry{procs: 2, results: ours}),
			of(2, entry{skipped: "no compiler"}),
			of(3, entry{cpus: 1, failed: "exit status 1: a | b"}),
		})},
	}
}

func TestRatioIsTheMedianOfRounds(t *testing.T) {
	row := sampleReport().Scenarios[0].Rows[1]
	// 50/100 and 300/200. The ratio of the medians, 175/150, would be another.
	if want := (Summary{Median: 1, Min: 0.5, Max: 1.5}); *row.Ratio != want {
		t.Errorf("ratio = %+v, want %+v", *row.Ratio, want)
	}
}

func TestReferenceMatchesPlacementAndGOMAXPROCS(t *testing.T) {
	s := &Scenario{Reference: "ref"}
	ref, ours := &Contestant{Name: "ref", GoParent: true}, &Contestant{Name: "ours", GoParent: true}
	at := func(c *Contestant, procs, cpus int) *entry {
		return &entry{scenario: s, contestant: c, procs: procs, cpus: cpus}
	}
	all := []*entry{at(ref, 1, 0), at(ref, 2, 0), at(ref, 1, 1)}
	for i, e := range []*entry{at(ours, 1, 0), at(ours, 2, 0), at(ours, 1, 1)} {
		if e.counterpart("ref", all) != all[i] {
			t.Errorf("row %d is compared with the wrong reference row", i)
		}
	}
	python := &Contestant{Name: "not in Go"}
	if at(python, 0, 0).counterpart("ref", all) != all[0] {
		t.Error("a row that is not Go's has no reference at the lowest GOMAXPROCS")
	}
	if at(ours, 4, 0).counterpart("ref", all) != nil {
		t.Error("a row without a matching reference is compared all the same")
	}
}

func TestTextShowsEveryRow(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport().WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"commit: abc-dirty", "CPU: fast, 2 cores", "rounds: 2",
		"X1        ours        all   2           175     50.0  300  1.00   0.5   1.50        allocs/call 2.00",
		"skipped: no compiler", "failed: exit status 1",
		"X1: a scenario; calls/s, higher is better; ratios to ref",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestMarkdownTableKeepsItsColumns(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport().WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		rows++
		bars := strings.Count(line, "|") - strings.Count(line, `\|`)
		if bars != len(headings)+1 {
			t.Errorf("%d columns in %q", bars-1, line)
		}
	}
	if rows != 2+4 {
		t.Errorf("%d lines of table, want heading, rule and four rows in\n%s", rows, &out)
	}
}

func TestJSONKeepsEverySample(t *testing.T) {
	var out bytes.Buffer
	if err := sampleReport().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	row := back.Scenarios[0].Rows[1]
	if len(row.Samples) != 2 || row.Samples[1].Value != 300 || row.Samples[0].Extra["allocs/call"] != 2 {
		t.Errorf("samples came back as %+v", row.Samples)
	}
	if back.Scenarios[0].Rows[2].Skipped != "no compiler" {
		t.Error("the reason for skipping is lost")
	}
}

func TestOnlyBrokenContestantsFailTheRun(t *testing.T) {
	r := sampleReport()
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "X1 broken") {
		t.Errorf("failure = %v", err)
	}
	r.Scenarios[0].Rows = r.Scenarios[0].Rows[:3]
	if err := r.failure(); err != nil {
		t.Errorf("a skipped contestant fails the run: %v", err)
	}
}

// A table that could not be written was no failure of the run.
func TestTableThatCannotBeWrittenIsAFailure(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.Close()
	for name, write := range map[string]func(io.Writer) error{
		"text": sampleReport().WriteText, "Markdown": sampleReport().WriteMarkdown, "JSON": sampleReport().WriteJSON,
	} {
		if err := write(w); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run that was interrupted said of all contestants that they had failed.
func TestInterruptedRunSaysSoAndBlamesNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &Scenario{ID: "X4", Contestants: []Contestant{{Name: "c"}}}
	var progress strings.Builder
	r := Report{Options: OptionsSummary{Rounds: 3}}
	r.Scenarios = runScenarios(ctx, []*Scenario{s}, options{rounds: 3, procs: []int{1}}, &progress)
	if row := r.Scenarios[0].Rows[0]; row.Failed != "" || progress.Len() > 0 {
		t.Errorf("failed = %q, progress %q", row.Failed, progress.String())
	}
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "interrupted") || strings.Contains(err.Error(), "X4") {
		t.Errorf("failure = %v", err)
	}
	for name, write := range map[string]func(io.Writer) error{"text": r.WriteText, "Markdown": r.WriteMarkdown} {
		var b strings.Builder
		if err := write(&b); err != nil || !strings.Contains(b.String(), "rounds: 3 (interrupted") {
			t.Errorf("%s does not say that the run was interrupted: %v\n%s", name, err, b.String())
		}
	}
	for _, complete := range []Report{sampleReport(), targetReport()} {
		if complete.interrupted() {
			t.Errorf("taken for interrupted: %+v", complete)
		}
	}
}
