package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// targetReport has a contestant of ours with every kind of target.
func targetReport() Report {
	s := &Scenario{ID: "X2", Reference: "ref", Targets: []Target{
		{Of: "ours", To: "ref", Bound: AtLeast, Must: 0.5, Aim: 0.9},
		{Of: "ours", To: "absent", Bound: AtLeast, Must: 20},
		{Of: "ours", Figure: "allocs/call", Bound: AtMost, Must: 1},
	}}
	s.Contestants = []Contestant{{Name: "ref"}, {Name: "ours, sync"}, {Name: "absent"}}
	of := func(i int, skipped string, results ...Result) *entry {
		return &entry{scenario: s, contestant: &s.Contestants[i], skipped: skipped, results: results}
	}
	allocs := map[string]float64{"allocs/call": 2}
	return Report{Scenarios: []ScenarioReport{summarize(s, []*entry{
		of(0, "", Result{Value: 100}, Result{Value: 1000}),
		of(1, "", Result{Value: 60, Extra: allocs}, Result{Value: 800, Extra: allocs}),
		of(2, "not here"),
	})}}
}

func TestVerdictIsOfTheMedianOfRounds(t *testing.T) {
	var got []string
	for _, line := range targetReport().targetLines() {
		got = append(got, strings.Join(line, "|"))
	}
	want := []string{
		"X2|ours, sync|all|-|≥ 0.5 × ref|0.7|reached|0.9|MISSED",
		"X2|ours, sync|all|-|≥ 20.0 × absent|-|not measured||",
		"X2|ours, sync|all|-|allocs/call ≤ 1.00|2.00|MISSED||",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q,\nwant %q", got, want)
	}
}

// A contestant that had failed had reached its targets by what was measured before, and so had one whose reference had failed.
func TestNothingIsReachedByWhatFails(t *testing.T) {
	s := &Scenario{ID: "X3", Reference: "ref", Targets: []Target{
		{Of: "ours", To: "ref", Bound: AtLeast, Must: 0.5},
		{Of: "ours", Bound: AtLeast, Must: 1},
	}}
	s.Contestants = []Contestant{{Name: "ref"}, {Name: "ours"}}
	words := func(refFailed, oursFailed string) (words []string) {
		of := func(i int, failed string) *entry {
			return &entry{scenario: s, contestant: &s.Contestants[i], failed: failed, results: []Result{{Value: 100}}}
		}
		for _, v := range summarize(s, []*entry{of(0, refFailed), of(1, oursFailed)}).Rows[1].Targets {
			words = append(words, v.word())
		}
		return words
	}
	for _, test := range []struct {
		ref, ours string
		want      []string
	}{
		{"", "", []string{reached, reached}},
		{"", "exit status 1", []string{notMeasured, notMeasured}},
		{"exit status 1", "", []string{notMeasured, reached}},
	} {
		if got := words(test.ref, test.ours); !slices.Equal(got, test.want) {
			t.Errorf("ref %q, ours %q: %q, want %q", test.ref, test.ours, got, test.want)
		}
	}
}

func TestMissedTargetIsSeenAndFailsNothing(t *testing.T) {
	r := targetReport()
	var text, markdown bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteMarkdown(&markdown)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "Markdown": markdown.String()} {
		if n := strings.Count(out, missed); n != 3 { // the row's, a must's, an aim's
			t.Errorf("%s says %d times that something was missed:\n%s", name, n, out)
		}
	}
	if err := r.failure(); err != nil {
		t.Errorf("the run fails: %v", err)
	}
}

func TestRowSaysTheWorstOfItsVerdicts(t *testing.T) {
	measured := 1.0
	ok, open, bad := Verdict{Median: &measured, Reached: true}, Verdict{}, Verdict{Median: &measured}
	for _, test := range []struct {
		verdicts []Verdict
		want     string
	}{
		{nil, ""},
		{[]Verdict{ok, ok}, reached},
		{[]Verdict{ok, open}, notMeasured},
		{[]Verdict{ok, open, bad}, missed},
	} {
		if got := worst(test.verdicts); got != test.want {
			t.Errorf("%v: %q, want %q", test.verdicts, got, test.want)
		}
	}
}

func TestEveryTargetIsOfSomebodyAndToSomebody(t *testing.T) {
	for _, s := range contestants().scenarios {
		for _, target := range s.Targets {
			isTargets := func(c Contestant) bool { return strings.HasPrefix(c.Name, target.Of) }
			if !slices.ContainsFunc(s.Contestants, isTargets) {
				t.Errorf("%s: %s is asked of nobody", s.ID, target)
			}
			if target.To != "" && s.contestant(target.To) == nil {
				t.Errorf("%s: %s names nobody who takes part", s.ID, target)
			}
		}
	}
}
