package main

import (
	"fmt"
	"slices"
	"strings"
)

// A Target is what contestants have to reach in a scenario, at every GOMAXPROCS
// and placement. The report says of each whether it was; a run never fails by one.
type Target struct {
	Of     string // whose: of all contestants whose names begin so
	Figure string // of Result.Extra, by its name; empty: Result.Value
	To     string // the contestant by whose same figure it is divided, round by round; empty: by nothing
	Bound  Bound
	Must   float64
	Aim    float64 // what would be better still; 0: nothing is said
}

// A Bound says on which side of a target's value a figure has to be.
type Bound bool

const (
	AtMost  Bound = false
	AtLeast Bound = true
)

// A Verdict is what one row comes to, held against one target.
type Verdict struct {
	Must    string   `json:"must"`             // in words: ≥ 0.25 × C
	Median  *float64 `json:"median,omitempty"` // nil: not measured, or the other contestant was not
	Reached bool     `json:"reached"`

	Aim        float64 `json:"aim,omitempty"`
	AimReached bool    `json:"aimReached,omitempty"`
}

// verdicts holds one row against the scenario's targets.
func (e *entry) verdicts(entries []*entry) []Verdict {
	var verdicts []Verdict
	for _, t := range e.scenario.Targets {
		if strings.HasPrefix(e.contestant.Name, t.Of) {
			verdicts = append(verdicts, t.judge(t.figures(e, entries)))
		}
	}
	return verdicts
}

// figures are the row's, one of each round. There are none if it has failed, or the other has, in whatever
// round: nothing is reached by what was measured before.
func (t Target) figures(e *entry, entries []*entry) []float64 {
	own := e.figures(t.Figure)
	switch {
	case e.failed != "":
		return nil
	case t.To == "":
		return own
	}
	other := e.counterpart(t.To, entries)
	if other == nil || other.failed != "" {
		return nil
	}
	return ratios(own, other.figures(t.Figure))
}

func (t Target) judge(figures []float64) Verdict {
	v := Verdict{Must: t.String(), Aim: t.Aim}
	if summary := summarizeValues(figures); summary != nil {
		v.Median = &summary.Median
		v.Reached = t.Bound.admits(summary.Median, t.Must)
		v.AimReached = t.Aim != 0 && t.Bound.admits(summary.Median, t.Aim)
	}
	return v
}

func (b Bound) admits(figure, limit float64) bool {
	if b == AtLeast {
		return figure >= limit
	}
	return figure <= limit
}

func (t Target) String() string {
	sign := "≤"
	if t.Bound == AtLeast {
		sign = "≥"
	}
	text := strings.TrimSpace(fmt.Sprintf("%s %s %s", t.Figure, sign, formatNumber(t.Must)))
	if t.To != "" {
		text += " × " + t.To
	}
	return text
}

// The words of a verdict, and of a row that has several.
const (
	reached     = "reached"
	missed      = "MISSED"
	notMeasured = "not measured"
)

func (v Verdict) word() string {
	switch {
	case v.Median == nil:
		return notMeasured
	case v.Reached:
		return reached
	}
	return missed
}

func (v Verdict) aimCells() (aim, word string) {
	switch {
	case v.Aim == 0:
		return "", ""
	case v.Median == nil:
		return formatNumber(v.Aim), notMeasured
	case v.AimReached:
		return formatNumber(v.Aim), reached
	}
	return formatNumber(v.Aim), missed
}

// worst is the row's word: the worst of its verdicts; empty when nothing is asked.
func worst(verdicts []Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, v.word())
	}
	for _, word := range []string{missed, notMeasured, reached} {
		if slices.Contains(words, word) {
			return word
		}
	}
	return ""
}
