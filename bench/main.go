// Command bench runs every contestant of every scenario in turn, in one run,
// and prints one table of figures and of their ratios to a reference.
//
//	go run . [-run regexp] [-pairs 10] [-short] [-procs 1,2] [-cpus all,1] [-json file] [-md file]
//
// Machines of the kind this runs on drift by a factor of two within an hour, so
// no figure means anything beside one from another run: only the ratios do. See
// README.md for the method and for how to add a contestant.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/evfork/evfork/child"
)

func main() {
	child.Main(evforkWorkers())
	registry := contestants()
	if handled, err := runHiddenRole(registry); handled {
		exit(err)
	}
	options, err := parseOptions(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2) // the flag package has said why
	}
	exit(compare(registry, options))
}

// contestants lists everything that takes part, in the order of the table.
func contestants() *Registry {
	r := NewRegistry()
	addScenarios(r)
	addLoopScenarios(r)
	addTCPScenarios(r)
	addC(r)
	addEvfork(r)
	addEvforkTyped(r)
	addEvforkCrowd(r)
	addScheduler(r)
	addCBOR(r)
	addNetRPC(r)
	addGoPlugin(r)
	addAnyEvent(r)
	addNode(r)
	addPython(r)
	addEvforkRings(r)
	addTimers(r)
	addPosts(r)
	addEvforkIdle(r)
	addEvforkObjects(r)
	addCLoops(r)
	addTCP(r)
	return r
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// compare is the visible role: measure, print, save. Interrupted, it still shows
// what it has.
func compare(r *Registry, o options) error {
	chosen := r.Matching(o.run)
	if len(chosen) == 0 {
		return fmt.Errorf("no scenario matches %q", o.run)
	}
	report := Report{Environment: readEnvironment(), Options: o.summary()}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report.Scenarios = runScenarios(ctx, chosen, o, os.Stderr)
	return errors.Join(
		report.WriteText(os.Stdout),
		report.save(o.jsonFile, report.WriteJSON),
		report.save(o.markdownFile, report.WriteMarkdown),
		report.failure(),
	)
}
