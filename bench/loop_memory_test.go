package main

import (
	"math"
	"testing"
)

// The list of descriptors was collected between the two looks, and was eight bytes off each object.
func TestWhatHoldsNothingCostsNothing(t *testing.T) {
	if err := canReadMemory(); err != nil {
		t.Skip(err)
	}
	makeNothing := func() (func(int, int) error, error) { return func(int, int) error { return nil }, nil }
	result, err := memoryPerObject(memoryTimers, openNothing, makeNothing)
	if err != nil || math.Abs(result.Value) > 1 {
		t.Errorf("%v B per object that does not exist: %v", result.Value, err)
	}
}
