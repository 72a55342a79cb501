package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
)

// AnyEvent::Fork::RPC for Perl, the model of this library.

//go:embed anyevent/echo.pl
var anyEventScript string

func addAnyEvent(r *Registry) {
	async, sync := nameAnyEventAsync, "AnyEvent::Fork::RPC, sync"
	r.Enter("R1", Contestant{Name: async, Calls: 80_000, Available: anyEventAvailable, Run: anyEventThroughput("async")})
	r.Enter("R1", Contestant{Name: sync, Calls: 80_000, Available: anyEventAvailable, Run: anyEventThroughput("sync")})
	r.Enter("R3-sync", Contestant{Name: sync, Calls: 4_000, Available: anyEventAvailable, Run: anyEventRoundTrip("sync")})
	r.Enter("R3-async", Contestant{Name: async, Calls: 4_000, Available: anyEventAvailable, Run: anyEventRoundTrip("async")})
	for _, bulk := range bulkScenarios {
		r.Enter(bulk.id, Contestant{Name: async, Calls: bulk.calls / 2, Available: anyEventAvailable, Run: anyEventBandwidth("async")})
		r.Enter(bulk.id, Contestant{Name: sync, Calls: bulk.calls / 2, Available: anyEventAvailable, Run: anyEventBandwidth("sync")})
	}
}

func anyEventAvailable() error {
	perl, err := exec.LookPath("perl")
	if err != nil {
		return errors.New("no perl in PATH")
	}
	if exec.Command(perl, "-MAnyEvent::Fork::RPC", "-e1").Run() != nil {
		return errors.New("no Perl module AnyEvent::Fork::RPC")
	}
	return nil
}

func anyEventThroughput(mode string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		rate, err := runAnyEvent(mode, s)
		return Result{Value: rate}, err
	}
}

func anyEventBandwidth(mode string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		rate, err := runAnyEvent(mode, s)
		return Result{Value: rate * megabytes(s.Size)}, err
	}
}

func anyEventRoundTrip(mode string) func(Sample) (Result, error) {
	return func(s Sample) (Result, error) {
		rate, err := runAnyEvent(mode, s)
		if err != nil {
			return Result{}, err
		}
		return Result{Value: 1e6 / rate}, nil
	}
}

// runAnyEvent returns calls per second. The script goes in by -e, and not by
// standard input: the worker would inherit that.
func runAnyEvent(mode string, s Sample) (float64, error) {
	return outputNumber(exec.Command("perl", "-e", anyEventScript, mode,
		fmt.Sprint(s.Calls), fmt.Sprint(s.InFlight), fmt.Sprint(s.Size)))
}
