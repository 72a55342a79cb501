package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the same figures as WriteText, one table per scenario,
// for a page of documentation.
func (r Report) WriteMarkdown(w io.Writer) error {
	var page bytes.Buffer // so that only one write can fail
	for _, line := range r.Environment.lines() {
		fmt.Fprintf(&page, "- %s: %s\n", line.name, line.value)
	}
	fmt.Fprintf(&page, "- rounds: %s\n", r.rounds())
	r.writeTargetsMarkdown(&page)
	for _, s := range r.Scenarios {
		s.writeMarkdown(&page)
	}
	_, err := w.Write(page.Bytes())
	return err
}

func (r Report) writeTargetsMarkdown(page *bytes.Buffer) {
	lines := r.targetLines()
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(page, "\n## Targets\n\n| %s |\n|---|---|---|---|---|--:|---|--:|---|\n", strings.Join(targetHeadings, " | "))
	for _, line := range lines {
		writeMarkdownRow(page, line)
	}
}

func (s ScenarioReport) writeMarkdown(page *bytes.Buffer) {
	fmt.Fprintf(page, "\n## %s: %s\n\n%s, %s; ratios to %s.\n\n", s.ID, s.Title, s.Unit, s.direction(), s.Reference)
	fmt.Fprintf(page, "| %s |\n", strings.Join(headings, " | "))
	page.WriteString("|---|---|---|--:|--:|--:|--:|--:|--:|---|---|\n")
	for _, row := range s.Rows {
		writeMarkdownRow(page, row.cells())
	}
}

func writeMarkdownRow(page *bytes.Buffer, cells []string) {
	for i := range cells {
		cells[i] = escapeCell(cells[i])
	}
	fmt.Fprintf(page, "| %s |\n", strings.Join(cells, " | "))
}

// escapeCell keeps an error message from breaking its table.
func escapeCell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
