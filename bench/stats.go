package main

import (
	"math"
	"slices"
)

// A Summary is what a column of samples comes to. Median and extremes, and no
// mean: on a shared machine the slow samples are somebody else's doing.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarizeValues returns nil for no values.
func summarizeValues(values []float64) *Summary {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + median) / 2
	}
	return &Summary{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// ratios divides round by round, so that a slow spell of the machine weighs on
// both sides of each ratio. A round without a usable reference gives none.
func ratios(values, reference []float64) []float64 {
	var out []float64
	for round := range min(len(values), len(reference)) {
		ratio := values[round] / reference[round]
		if !math.IsNaN(ratio) && !math.IsInf(ratio, 0) {
			out = append(out, ratio)
		}
	}
	return out
}
