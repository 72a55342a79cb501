package main

import (
	"fmt"
	"regexp"
)

// A Scenario is one workload, with one figure per sample.
type Scenario struct {
	ID             string // as in docs/performance.md: R1, R3-sync, …
	Title          string
	Unit           string // of a sample's Value: calls/s, µs, kB, …
	HigherIsBetter bool

	// Reference names the contestant that all ratios are taken to.
	Reference string

	InFlight int // calls outstanding at any time
	Size     int // payload bytes, each way

	// FixedProcs are the GOMAXPROCS values to run at, whatever -procs says,
	// for figures that do not depend on it; 0 leaves the machine's default.
	// Nil: those of -procs.
	FixedProcs []int

	// OneCPU also runs the scenario with parent and child confined to one CPU,
	// at GOMAXPROCS=1. See "Placement" in README.md.
	OneCPU bool

	// Targets are what is asked of this project's contestants.
	Targets []Target

	Contestants []Contestant
}

// A Contestant is one implementation of one scenario.
type Contestant struct {
	Name string

	// Calls is how many calls a full sample makes: a third of a second's worth to a second's.
	Calls int

	// GoParent says that the parent is written in Go, so that GOMAXPROCS is
	// a dimension. Contestants without it run once per round and placement.
	GoParent bool

	// Available reports why the contestant cannot run here, as an error; it is
	// then listed as skipped. It runs once, in the harness, before the first
	// round, and is the place to build what Run needs. Nil: always available.
	Available func() error

	// Run takes one sample. It is called in a fresh process with GOMAXPROCS
	// and CPU affinity already set, so it may use the runtime as it likes and
	// need not leave anything tidy except its child processes. It must warm up
	// before it measures. Its process must not print to standard output.
	Run func(Sample) (Result, error)
}

// A Sample is what one run of a contestant has to do.
type Sample struct {
	Calls    int `json:"calls"`    // to measure; warm-up comes on top
	InFlight int `json:"inFlight"` // never more than Calls
	Size     int `json:"size"`

	// Short says that what a sample sets up is to be small, too.
	Short bool `json:"short,omitempty"`
}

// A Result is the outcome of one sample.
type Result struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // empty: the scenario's

	// Extra holds further figures, keyed by a name that includes the unit:
	// "allocs/call", "anon kB".
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Registry holds what takes part. It is filled once, by main, and only read
// afterwards.
type Registry struct {
	scenarios []*Scenario
	workers   map[string]func() error
}

func NewRegistry() *Registry {
	return &Registry{workers: map[string]func() error{}}
}

// AddScenario panics on a duplicate id: the registry is written by hand.
func (r *Registry) AddScenario(s Scenario) {
	if r.scenario(s.ID) != nil {
		panic("bench: scenario " + s.ID + " added twice")
	}
	r.scenarios = append(r.scenarios, &s)
}

// Enter adds a contestant to a scenario. It panics when the scenario is
// unknown or the name is taken.
func (r *Registry) Enter(scenarioID string, c Contestant) {
	s := r.scenario(scenarioID)
	if s == nil {
		panic("bench: no scenario " + scenarioID)
	}
	if s.contestant(c.Name) != nil {
		panic(fmt.Sprintf("bench: %s entered %s twice", c.Name, scenarioID))
	}
	s.Contestants = append(s.Contestants, c)
}

// AddWorker registers the child side of a contestant that runs this same
// binary as its child; see workerCommand. A nil error means a clean exit.
func (r *Registry) AddWorker(name string, serve func() error) {
	if r.workers[name] != nil {
		panic("bench: worker " + name + " added twice")
	}
	r.workers[name] = serve
}

// Matching returns the scenarios whose id matches.
func (r *Registry) Matching(pattern *regexp.Regexp) []*Scenario {
	var matching []*Scenario
	for _, s := range r.scenarios {
		if pattern.MatchString(s.ID) {
			matching = append(matching, s)
		}
	}
	return matching
}

func (r *Registry) scenario(id string) *Scenario {
	for _, s := range r.scenarios {
		if s.ID == id {
			return s
		}
	}
	return nil
}

func (s *Scenario) contestant(name string) *Contestant {
	for i := range s.Contestants {
		if s.Contestants[i].Name == name {
			return &s.Contestants[i]
		}
	}
	return nil
}
