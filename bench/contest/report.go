package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A Report is everything one run has seen, as it is saved.
type Report struct {
	Environment []EnvironmentLine `json:"environment"`
	Options     OptionsSummary    `json:"options"`
	Scenarios   []Title           `json:"scenarios"`
	Cells       []Cell            `json:"cells"`
}

// A Title is a scenario's row heading.
type Title struct{ ID, Text string }

// An EnvironmentLine is one thing that a verdict may depend on.
type EnvironmentLine struct{ Name, Value string }

func titles(r *Registry) []Title {
	var all []Title
	for _, s := range r.scenarios {
		all = append(all, Title{s.ID, s.Title})
	}
	return all
}

func readEnvironment(r *Registry) []EnvironmentLine {
	lines := []EnvironmentLine{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"commit", commit()},
		{"Go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{"kernel", output("uname", "-sr")},
		{"processors", fmt.Sprint(runtime.NumCPU())},
	}
	info, _ := debug.ReadBuildInfo() // nil: built without modules, and no version is known
	for _, c := range r.contestants {
		if c.Module != "" {
			lines = append(lines, EnvironmentLine{c.Name, moduleVersion(info, c.Module)})
		}
	}
	return lines
}

func moduleVersion(info *debug.BuildInfo, path string) string {
	if info != nil {
		for _, module := range info.Deps {
			if module.Path == path {
				return path + " " + module.Version
			}
		}
	}
	return path
}

// commit never takes git's index lock.
func commit() string {
	hash := output("git", "rev-parse", "--short", "HEAD")
	if changed, err := exec.Command("git", "--no-optional-locks", "status", "--porcelain").Output(); err != nil || len(changed) > 0 {
		hash += "-dirty"
	}
	return hash
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func (r Report) contestants() []string {
	var names []string
	for _, c := range r.Cells {
		if !slices.Contains(names, c.Contestant) {
			names = append(names, c.Contestant)
		}
	}
	return names
}

func (r Report) cell(scenario, contestant string) Cell {
	for _, c := range r.Cells {
		if c.Scenario == scenario && c.Contestant == contestant {
			return c
		}
	}
	return Cell{}
}

// WriteJSON keeps every verdict.
func (r Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(r)
}

// WriteText is for the terminal: a paragraph per scenario.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, s := range r.Scenarios {
		fmt.Fprintf(&b, "\n%s: %s\n", s.ID, s.Text)
		for _, name := range r.contestants() {
			fmt.Fprintf(&b, "  %-8s %s\n", name, r.cell(s.ID, name))
		}
	}
	b.WriteByte('\n')
	for _, line := range r.Environment {
		fmt.Fprintf(&b, "%s: %s\n", line.Name, line.Value)
	}
	fmt.Fprintf(&b, "seed: %d\n", r.Options.Seed)
	if r.interrupted() {
		b.WriteString(interruption)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown writes the table, scenarios down and contestants across, and
// what it was made with.
func (r Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	names := r.contestants()
	fmt.Fprintf(&b, "| scenario | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, s := range r.Scenarios {
		fmt.Fprintf(&b, "| **%s**: %s |", s.ID, s.Text)
		for _, name := range names {
			fmt.Fprintf(&b, " %s |", strings.ReplaceAll(r.cell(s.ID, name).String(), "|", "\\|"))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n- command: `%s`, %d runs per cell, seed %d\n", r.Options.Command, r.Options.Runs, r.Options.Seed)
	for _, line := range r.Environment {
		fmt.Fprintf(&b, "- %s: %s\n", line.Name, line.Value)
	}
	if r.interrupted() {
		b.WriteString("\n" + interruption)
	}
	if r.Options.Short {
		b.WriteString("\n-short: a check that everything runs; its sizes are too small to judge by.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// save does nothing when no file was asked for.
func save(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// interruption is what a reader must know of a run that was ended before its time.
const interruption = "Interrupted: some cells have had fewer runs, or none.\n"

func (r Report) interrupted() bool {
	return slices.ContainsFunc(r.Cells, func(c Cell) bool { return len(c.Runs) < r.Options.Runs })
}

// failure is the exit status: what others do fails nothing, what our own
// contestant does, or the driver, does, and an end before its time.
func (r Report) failure() error {
	var failures []string
	if r.interrupted() {
		failures = append(failures, "interrupted")
	}
	for _, c := range r.Cells {
		worst := c.worst()
		if worst.Kind == failed || c.Contestant == nameEvfork && worst.Kind != fine {
			failures = append(failures, fmt.Sprintf("%s %s: %s", c.Scenario, c.Contestant, worst.Text))
		}
	}
	if failures == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(failures, "; "))
}
