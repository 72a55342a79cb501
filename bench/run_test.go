package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEntriesSpreadOverPlacementAndGOMAXPROCS(t *testing.T) {
	s := &Scenario{OneCPU: true, InFlight: 10, Contestants: []Contestant{
		{Name: "c", Calls: 1000},
		{Name: "go", Calls: 1000, GoParent: true},
		{Name: "none", Available: func() error { return errors.New("not here") }},
	}}
	var got []string
	for _, e := range entriesOf(t.Context(), s, options{procs: []int{1, 2}, cpus: []int{0, 1}}) {
		got = append(got, fmt.Sprintf("%s %d/%d%s", e.contestant.Name, e.procs, e.cpus, e.skipped))
	}
	want := []string{
		"c 0/0", "go 1/0", "none 0/0not here", "go 2/0",
		"c 0/1", "go 1/1", "none 0/1not here",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q,\nwant %q", got, want)
	}
}

func TestShortSampleFillsTheWindow(t *testing.T) {
	s := &Scenario{InFlight: 1000, Size: 32}
	got := s.sampleFor(&Contestant{Calls: 5000}, true)
	if want := (Sample{Calls: 1000, InFlight: 1000, Size: 32, Short: true}); got != want {
		t.Errorf("sample %+v, want %+v", got, want)
	}
}

func TestEveryReferenceTakesPart(t *testing.T) {
	for _, s := range contestants().scenarios {
		if s.contestant(s.Reference) == nil {
			t.Errorf("%s: its reference %q is not among its contestants", s.ID, s.Reference)
		}
	}
}

func TestFailingContestantIsReportedOnce(t *testing.T) {
	s := &Scenario{ID: "no such scenario", Contestants: []Contestant{{Name: "x"}}}
	var progress strings.Builder
	reports := runScenarios(context.Background(), []*Scenario{s}, options{rounds: 3, procs: []int{1}}, &progress)
	row := reports[0].Rows[0]
	if !strings.Contains(row.Failed, `no scenario "no such scenario"`) {
		t.Errorf("failed = %q", row.Failed)
	}
	if n := strings.Count(progress.String(), "x: "); n != 1 {
		t.Errorf("the failure was reported %d times", n)
	}
}

func TestEveryContestantRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it takes some seconds")
	}
	o, err := parseOptions([]string{"-short", "-procs", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range runScenarios(t.Context(), contestants().Matching(regexp.MustCompile("")), o, io.Discard) {
		for _, row := range s.Rows {
			switch {
			case row.Failed != "":
				t.Errorf("%s %s: %s", s.ID, row.Contestant, row.Failed)
			case row.Skipped != "":
				t.Logf("%s %s: skipped: %s", s.ID, row.Contestant, row.Skipped)
			case len(row.Samples) != 1 || row.Samples[0].Unit != s.Unit:
				t.Errorf("%s %s: samples %+v", s.ID, row.Contestant, row.Samples)
			}
		}
	}
}

// All later workers were built before the run ended, and who was being built was listed as unable to run here.
func TestInterruptedWhileWorkersAreBuilt(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	scenarios := []*Scenario{
		{ID: "first", Contestants: []Contestant{{Name: "built", Available: func() error {
			interrupt()
			return errors.New("signal: interrupt")
		}}}},
		{ID: "second", Contestants: []Contestant{{Name: "x", Available: func() error {
			t.Error("built after the interrupt")
			return nil
		}}}},
	}
	report := Report{Options: OptionsSummary{Rounds: 1}}
	report.Scenarios = runScenarios(ctx, scenarios, options{rounds: 1, procs: []int{1}}, io.Discard)
	if err := report.failure(); err == nil || report.Scenarios[0].Rows[0].Skipped != "" {
		t.Errorf("failure %v, rows %+v", err, report.Scenarios[0].Rows)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		args   string
		rounds int // 0: to be refused
	}{
		{"", 10},
		{"-short", 1},
		{"-short -pairs 3", 3},
		{"-procs 1,4 -cpus all", 10},
		{"-pairs 0", 0},
		{"-procs 0", 0},
		{"-procs x", 0},
		{"-cpus 2", 0},
		{"-run (", 0},
		{"stray", 0},
	} {
		o, err := parseOptions(strings.Fields(test.args), io.Discard)
		if (err != nil) != (test.rounds == 0) {
			t.Errorf("%q: error %v", test.args, err)
		}
		if err == nil && o.rounds != test.rounds {
			t.Errorf("%q: %d rounds, want %d", test.args, o.rounds, test.rounds)
		}
	}
}
