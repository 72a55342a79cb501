package main

import (
	"regexp"
	"slices"
)

// A Contestant is a library behind the server programs of this contest.
type Contestant struct {
	Name   string
	Module string // whose version the report shows; empty: this module's own
	// Serve is the server: it runs in a process of its own, in the way the
	// library's documentation recommends and with its default configuration, until
	// the role or the driver asks it to stop.
	Serve func(*Binding) error
	// Remarks says, by scenario id, what the library's documentation or interface
	// rules out: the run still happens, and is reported with this remark.
	Remarks map[string]string
}

// A Scenario is something that users of such libraries have reported to go
// wrong, acted out by a client.
type Scenario struct {
	ID    string // as for -run
	Title string
	// Run plays the client's part once. An error is the driver's own failure.
	Run func(*Trial) (Verdict, error)
}

// Registry holds what takes part, in the order of the table. It is filled once
// and only read afterwards.
type Registry struct {
	contestants []Contestant
	scenarios   []Scenario
}

// contest is the registry of the command.
func contest() *Registry {
	r := &Registry{contestants: []Contestant{
		evforkContestant(), evioserverContestant(), netContestant(), evioContestant(), gnetContestant(), netpollContestant(), nbioContestant(),
	}}
	r.scenarios = scenarios()
	return r
}

// scenarios lists all of them, in the order of the table.
func scenarios() []Scenario {
	return slices.Concat(byteScenarios(), endScenarios(), stopScenarios(), limitScenarios(), costScenarios())
}

func (r *Registry) contestant(name string) *Contestant {
	for i := range r.contestants {
		if r.contestants[i].Name == name {
			return &r.contestants[i]
		}
	}
	return nil
}

// choose returns what matches both patterns.
func (r *Registry) choose(contestants, scenarios *regexp.Regexp) *Registry {
	chosen := &Registry{}
	for _, c := range r.contestants {
		if contestants.MatchString(c.Name) {
			chosen.contestants = append(chosen.contestants, c)
		}
	}
	for _, s := range r.scenarios {
		if scenarios.MatchString(s.ID) {
			chosen.scenarios = append(chosen.scenarios, s)
		}
	}
	return chosen
}
