package main

import (
	"math"
	"slices"
	"testing"
)

func TestSummaryIsMedianAndExtremes(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   *Summary
	}{
		{nil, nil},
		{[]float64{3}, &Summary{3, 3, 3}},
		{[]float64{9, 1, 4}, &Summary{4, 1, 9}},
		{[]float64{4, 1, 2, 9}, &Summary{3, 1, 9}},
	} {
		got := summarizeValues(test.values)
		if (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("summarizeValues(%v) = %v, want %v", test.values, got, test.want)
		}
	}
}

func TestSummaryLeavesSamplesInOrder(t *testing.T) {
	samples := []float64{3, 1, 2}
	summarizeValues(samples)
	if !slices.Equal(samples, []float64{3, 1, 2}) {
		t.Errorf("samples are now %v: rounds no longer pair up", samples)
	}
}

func TestRatiosPairByRound(t *testing.T) {
	got := ratios([]float64{10, 30, 8}, []float64{5, 10, 16})
	if want := []float64{2, 3, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
}

func TestRatiosStopWhereOneSideFailed(t *testing.T) {
	if got := ratios([]float64{10, 30}, []float64{5}); !slices.Equal(got, []float64{2}) {
		t.Errorf("ratios = %v, want the one complete round", got)
	}
	if got := ratios([]float64{10}, nil); got != nil {
		t.Errorf("ratios without a reference = %v, want none", got)
	}
}

func TestRatiosAreAlwaysFinite(t *testing.T) {
	for _, ratio := range ratios([]float64{0, 1, 0}, []float64{0, 0, 2}) {
		if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
			t.Errorf("ratio %v cannot be written as JSON", ratio)
		}
	}
}
