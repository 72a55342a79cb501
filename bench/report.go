package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A Report is everything one run has found, as it is saved.
type Report struct {
	Environment Environment      `json:"environment"`
	Options     OptionsSummary   `json:"options"`
	Scenarios   []ScenarioReport `json:"scenarios"`
}

// A ScenarioReport holds one scenario's rows, in the order they were measured.
type ScenarioReport struct {
	ID             string `json:"id"`
	Title          string `json:"title"`
	Unit           string `json:"unit"`
	HigherIsBetter bool   `json:"higherIsBetter"`
	Reference      string `json:"reference"`
	Rows           []Row  `json:"rows"`
}

// A Row is a contestant at one GOMAXPROCS and one placement.
type Row struct {
	Contestant string `json:"contestant"`
	Procs      int    `json:"gomaxprocs,omitempty"` // 0: the default, or not applicable
	CPUs       int    `json:"cpus,omitempty"`       // 0: all

	// One of these says why there are no figures, or no complete ones.
	Skipped string `json:"skipped,omitempty"`
	Failed  string `json:"failed,omitempty"`

	Value   *Summary            `json:"value,omitempty"`
	Ratio   *Summary            `json:"ratio,omitempty"` // to the reference, round by round
	Targets []Verdict           `json:"targets,omitempty"`
	Extra   map[string]*Summary `json:"extra,omitempty"`
	Samples []Result            `json:"samples,omitempty"`
}

func summarize(s *Scenario, entries []*entry) ScenarioReport {
	report := ScenarioReport{
		ID: s.ID, Title: s.Title, Unit: s.Unit,
		HigherIsBetter: s.HigherIsBetter, Reference: s.Reference,
	}
	for _, e := range entries {
		row := Row{
			Contestant: e.contestant.Name, Procs: e.procs, CPUs: e.cpus,
			Skipped: e.skipped, Failed: e.failed,
			Value: summarizeValues(e.values()), Targets: e.verdicts(entries),
			Extra: e.extras(), Samples: e.results,
		}
		if reference := e.counterpart(s.Reference, entries); reference != nil {
			row.Ratio = summarizeValues(ratios(e.values(), reference.values()))
		}
		report.Rows = append(report.Rows, row)
	}
	return report
}

// counterpart finds another contestant's row at the same placement and, when both are
// written in Go, at the same GOMAXPROCS; else the first one.
func (e *entry) counterpart(contestant string, entries []*entry) *entry {
	for _, r := range entries {
		if r.contestant.Name == contestant && r.cpus == e.cpus &&
			(r.procs == e.procs || !r.contestant.GoParent || !e.contestant.GoParent) {
			return r
		}
	}
	return nil
}

func (e *entry) values() []float64 { return e.figures("") }

// figures are the samples' values or, by name, one of their extras.
func (e *entry) figures(extra string) []float64 {
	var figures []float64
	for _, result := range e.results {
		figure, found := result.Value, true
		if extra != "" {
			figure, found = result.Extra[extra]
		}
		if found {
			figures = append(figures, figure)
		}
	}
	return figures
}

func (e *entry) extras() map[string]*Summary {
	columns := map[string][]float64{}
	for _, result := range e.results {
		for name, value := range result.Extra {
			columns[name] = append(columns[name], value)
		}
	}
	extras := map[string]*Summary{}
	for name, column := range columns {
		extras[name] = summarizeValues(column)
	}
	return extras
}

// WriteJSON keeps every sample, so that other statistics can be made later.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(r)
}

// save does nothing when no file was asked for.
func (r Report) save(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// interrupted reports whether samples are missing for no fault of their contestants.
func (r Report) interrupted() bool {
	for _, s := range r.Scenarios {
		for _, row := range s.Rows {
			if row.Skipped == "" && row.Failed == "" && len(row.Samples) < r.Options.Rounds {
				return true
			}
		}
	}
	return false
}

// rounds is how many there were, and what a reader must know besides.
func (r Report) rounds() string {
	text := strconv.Itoa(r.Options.Rounds) + r.Options.warning()
	if r.interrupted() {
		text += " (interrupted: of what stands below, some has fewer)"
	}
	return text
}

// failure is the run's exit status: figures never fail it, broken contestants do, and an end before its time.
func (r Report) failure() error {
	var failed []string
	if r.interrupted() {
		failed = append(failed, "interrupted")
	}
	for _, s := range r.Scenarios {
		for _, row := range s.Rows {
			name := s.ID + " " + row.Contestant
			if row.Failed != "" && !slices.Contains(failed, name) {
				failed = append(failed, name)
			}
		}
	}
	if failed == nil {
		return nil
	}
	return fmt.Errorf("failed: %s", strings.Join(failed, "; "))
}

// The columns of the tables, as text and as Markdown.

// headings name what cells returns, in the same order.
var headings = []string{
	"contestant", "CPUs", "GOMAXPROCS", "median", "min", "max", "ratio", "min", "max", "must", "remarks",
}

func (row Row) cells() []string {
	median, lowest, highest := summaryCells(row.Value)
	ratio, ratioMin, ratioMax := summaryCells(row.Ratio)
	return []string{
		row.Contestant, row.cpusCell(), row.procsCell(),
		median, lowest, highest, ratio, ratioMin, ratioMax, worst(row.Targets), row.remarksCell(),
	}
}

func (row Row) procsCell() string {
	if row.Procs == 0 {
		return "-"
	}
	return strconv.Itoa(row.Procs)
}

func (row Row) cpusCell() string {
	if row.CPUs == 0 {
		return "all"
	}
	return strconv.Itoa(row.CPUs)
}

// remarksCell says why figures are missing, else the medians of the extras.
func (row Row) remarksCell() string {
	switch {
	case row.Skipped != "":
		return "skipped: " + row.Skipped
	case row.Failed != "":
		return "failed: " + row.Failed
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(row.Extra)) {
		parts = append(parts, name+" "+formatNumber(row.Extra[name].Median))
	}
	return strings.Join(parts, "; ")
}

func (s ScenarioReport) direction() string {
	if s.HigherIsBetter {
		return "higher is better"
	}
	return "lower is better"
}
