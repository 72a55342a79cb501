// Command contest does to this project's reactor and to other Go networking
// libraries what their users have reported to go wrong, and writes down what
// each of them did: bytes lost, connections reset, hangs, busy loops.
//
//	go run ./contest [-run regexp] [-contestants regexp] [-runs 5] [-seed n] [-short] [-json file] [-md file]
//
// Every server runs in a process of its own, in the way its library documents and
// with its default configuration; the client is this program. A verdict is
// what was seen, never what the source lets one expect. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	registry := contest()
	if handled, err := runServer(registry); handled {
		exit(err)
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2) // the flag package has said why
	}
	exit(hold(registry.choose(o.contestants, o.scenarios), o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "contest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// hold is the visible role: run, print, save. Interrupted, it still shows what
// it has.
func hold(r *Registry, o options) error {
	if len(r.scenarios) == 0 || len(r.contestants) == 0 {
		return errors.New("no scenario or no contestant matches")
	}
	report := Report{Environment: readEnvironment(r), Options: o.summary(), Scenarios: titles(r)}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report.Cells = runAll(ctx, r, o, os.Stderr)
	if err := report.WriteText(os.Stdout); err != nil {
		return err
	}
	if err := save(o.jsonFile, report.WriteJSON); err != nil {
		return err
	}
	if err := save(o.markdownFile, report.WriteMarkdown); err != nil {
		return err
	}
	return report.failure()
}
