package main

import (
	"context"
	"fmt"
	"io"
)

// An entry is one row of the table while it is being measured: a contestant at
// one GOMAXPROCS and one placement.
type entry struct {
	scenario   *Scenario
	contestant *Contestant
	sample     Sample
	procs      int // 0: the default, or not applicable
	cpus       int // 0: all
	skipped    string
	failed     string
	results    []Result // one per round, in order; shorter once it has failed
}

func runScenarios(ctx context.Context, scenarios []*Scenario, o options, progress io.Writer) []ScenarioReport {
	var reports []ScenarioReport
	for _, s := range scenarios {
		entries := entriesOf(ctx, s, o)
		for round := range o.rounds {
			if ctx.Err() == nil {
				fmt.Fprintf(progress, "%s: round %d of %d\n", s.ID, round+1, o.rounds)
			}
			for _, e := range entries {
				e.takeSample(ctx, progress)
			}
		}
		reports = append(reports, summarize(s, entries))
	}
	return reports
}

// entriesOf spreads a scenario's contestants over GOMAXPROCS and placement.
// Rows of one placement stay together, and within it those of one GOMAXPROCS,
// so that what is compared is also measured close together in time.
func entriesOf(ctx context.Context, s *Scenario, o options) []*entry {
	unavailable := s.unavailable(ctx)
	var entries []*entry
	add := func(c *Contestant, procs, cpus int) {
		if !c.GoParent {
			procs = 0
		}
		for _, e := range entries {
			if e.contestant == c && e.procs == procs && e.cpus == cpus {
				return // not in Go: one row stands for every GOMAXPROCS
			}
		}
		entries = append(entries, &entry{
			scenario: s, contestant: c, procs: procs, cpus: cpus,
			sample: s.sampleFor(c, o.short), skipped: unavailable[c.Name],
		})
	}
	for _, cpus := range s.placements(o) {
		for _, procs := range s.procsFor(cpus, o) {
			for i := range s.Contestants {
				add(&s.Contestants[i], procs, cpus)
			}
		}
	}
	return entries
}

// unavailable says by name who cannot run here, and why. When ctx is done nobody is asked, and what was said meanwhile says
// nothing: Ctrl-C ends a compiler, too.
func (s *Scenario) unavailable(ctx context.Context) map[string]string {
	why := map[string]string{}
	for _, c := range s.Contestants {
		if c.Available == nil || ctx.Err() != nil {
			continue
		}
		if err := c.Available(); err != nil && ctx.Err() == nil {
			why[c.Name] = err.Error()
		}
	}
	return why
}

func (s *Scenario) placements(o options) []int {
	if !s.OneCPU {
		return []int{0}
	}
	return o.cpus
}

func (s *Scenario) procsFor(cpus int, o options) []int {
	switch {
	case cpus == 1:
		return []int{1} // more Ps than CPUs measures the kernel's scheduler
	case s.FixedProcs != nil:
		return s.FixedProcs
	}
	return o.procs
}

func (s *Scenario) sampleFor(c *Contestant, short bool) Sample {
	calls := c.Calls
	if short {
		calls /= shortDivisor
	}
	return Sample{Calls: max(calls, s.InFlight), InFlight: s.InFlight, Size: s.Size, Short: short}
}

// takeSample measures once. A contestant that fails is not asked again: its
// row says why, and the run goes on without it. When ctx is done nothing is measured, and
// what was begun says nothing.
func (e *entry) takeSample(ctx context.Context, progress io.Writer) {
	if e.skipped != "" || e.failed != "" {
		return
	}
	result, err := runInFreshProcess(ctx, e)
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		e.failed = err.Error()
		fmt.Fprintf(progress, "%s: %s: %v\n", e.scenario.ID, e.contestant.Name, err)
		return
	}
	if result.Unit == "" {
		result.Unit = e.scenario.Unit
	}
	e.results = append(e.results, result)
}
