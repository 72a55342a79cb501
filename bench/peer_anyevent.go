package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// AnyEvent::Fork::RPC for Perl, the model of this library.

//go:embed anyevent/echo.pl
var anyEventScript string

func addAnyEvent(r *Registry) {
	async := "AnyEvent::Fork::RPC, async"
	sync := "AnyEvent::Fork::RPC, sync"
	r.Enter("R1", Contestant{Name: async, Calls: 200_000, Available: anyEventAvailable, Run: anyEventThroughput("async")})
	r.Enter("R1", Contestant{Name: sync, Calls: 200_000, Available: anyEventAvailable, Run: anyEventThroughput("sync")})
	r.Enter("R3-sync", Contestant{Name: sync, Calls: 10_000, Available: anyEventAvailable, Run: anyEventRoundTrip("sync")})
	r.Enter("R3-async", Contestant{Name: async, Calls: 10_000, Available: anyEventAvailable, Run: anyEventRoundTrip("async")})
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
	out, err := output(exec.Command("perl", "-e", anyEventScript, mode,
		fmt.Sprint(s.Calls), fmt.Sprint(s.InFlight), fmt.Sprint(s.Size)))
	if err != nil {
		return 0, err
	}
	number, _, _ := strings.Cut(out, " ")
	return strconv.ParseFloat(number, 64)
}
