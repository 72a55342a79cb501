package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// runAll returns one cell per scenario and contestant, in the order of the
// table. Each round is all cells once. When ctx is done, what runs is finished.
func runAll(ctx context.Context, r *Registry, o options, progress io.Writer) []Cell {
	var cells []Cell
	for _, s := range r.scenarios {
		for _, c := range r.contestants {
			cells = append(cells, Cell{Scenario: s.ID, Contestant: c.Name, Runs: make([]Verdict, 0, o.runs)})
		}
	}
	type job struct{ run, cell int }
	jobs := make(chan job)
	var mu sync.Mutex // of cells and progress
	var wg sync.WaitGroup
	for range o.parallel {
		wg.Go(func() {
			for j := range jobs {
				s := r.scenarios[j.cell/len(r.contestants)]
				c := r.contestants[j.cell%len(r.contestants)]
				verdict := runOnce(s, c, o, j.run)
				mu.Lock()
				cells[j.cell].Runs = append(cells[j.cell].Runs, verdict)
				fmt.Fprintf(progress, "%d/%d %-15s %-8s %s\n", j.run+1, o.runs, s.ID, c.Name, verdict.Text)
				mu.Unlock()
			}
		})
	}
	for run := range o.runs {
		for cell := range cells {
			if ctx.Err() == nil {
				jobs <- job{run, cell}
			}
		}
	}
	close(jobs)
	wg.Wait()
	return cells
}

// runOnce is one trial. Its seed follows from the run's, so that a single
// scenario can be repeated with -run.
func runOnce(s Scenario, c Contestant, o options, run int) Verdict {
	t, err := newTrial(c.Name, o.seed+uint64(run)*0x9e3779b97f4a7c15, o.short)
	if err != nil {
		return bad(failed, "driver: %v", err)
	}
	verdict, err := s.play(t)
	if remark, ok := c.Remarks[s.ID]; ok && err == nil && verdict.Kind != fine && verdict.Kind <= loses {
		verdict = bad(unfit, "%s; %s", remark, verdict.Text)
	}
	if endErr := t.end(); err == nil {
		err = endErr
	}
	if err != nil {
		return bad(failed, "driver: %v", err)
	}
	return verdict
}

// exitGrace is how long a server's end may take after its client saw something wrong.
const exitGrace = 300 * time.Millisecond

// play runs the scenario, and looks whether the server is still there: if it is
// not, that is the verdict, whatever followed from it.
func (s Scenario) play(t *Trial) (Verdict, error) {
	verdict, err := s.Run(t)
	grace := time.Duration(0)
	if err != nil || verdict.Kind != fine {
		grace = exitGrace
	}
	for _, p := range t.processes {
		if gone, is := p.gone(grace); is {
			return gone, nil
		}
		grace = 0 // they have all had it
	}
	return verdict.explainedBy(t.processes), err
}

// explainedBy adds what the library's functions returned to a verdict about
// bytes that did not come: a loss that is reported is another thing than one
// that is not.
func (v Verdict) explainedBy(processes []*Process) Verdict {
	if v.Kind != loses && v.Kind != resets {
		return v
	}
	for _, p := range processes {
		if line, found := p.stderr.find(refusal); found {
			v.Text += "; " + strings.TrimPrefix(line, refusal)
			return v
		}
	}
	return v
}
