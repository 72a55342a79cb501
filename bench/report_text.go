package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the one table of a run, for a terminal.
func (r Report) WriteText(out io.Writer) error {
	w := new(bytes.Buffer) // so that only one write can fail
	for _, line := range r.Environment.lines() {
		fmt.Fprintf(w, "%s: %s\n", line.name, line.value)
	}
	fmt.Fprintf(w, "rounds: %s\n\n", r.rounds())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\t"+strings.Join(headings, "\t"))
	for _, s := range r.Scenarios {
		for _, row := range s.Rows {
			fmt.Fprintln(table, s.ID+"\t"+strings.Join(row.cells(), "\t"))
		}
	}
	table.Flush()
	fmt.Fprintln(w)
	if lines := r.targetLines(); len(lines) > 0 {
		fmt.Fprintln(table, strings.Join(targetHeadings, "\t"))
		for _, line := range lines {
			fmt.Fprintln(table, strings.Join(line, "\t"))
		}
		table.Flush()
		fmt.Fprintln(w)
	}
	for _, s := range r.Scenarios {
		fmt.Fprintf(w, "%s: %s; %s, %s; ratios to %s\n", s.ID, s.Title, s.Unit, s.direction(), s.Reference)
	}
	_, err := out.Write(w.Bytes())
	return err
}

func (o OptionsSummary) warning() string {
	if o.Short {
		return " (short: a check that everything runs, not a measurement)"
	}
	return ""
}
