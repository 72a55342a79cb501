package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// shortDivisor cuts a -short sample down to some tens of milliseconds: enough
// to see that everything works, far too little to believe the figures.
const shortDivisor = 50

type options struct {
	run          *regexp.Regexp
	rounds       int
	short        bool
	procs        []int
	cpus         []int // 0 = all of them
	jsonFile     string
	markdownFile string
}

func parseOptions(args []string, errout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errout)
	run := flags.String("run", "", "only scenarios whose id matches this `regexp`")
	flags.IntVar(&o.rounds, "pairs", 10, "rounds A B C, A B C, …; one sample of each contestant per round")
	flags.BoolVar(&o.short, "short", false, "tiny samples, and one round unless -pairs is given: a check, not a measurement")
	procs := flags.String("procs", "1,2", "GOMAXPROCS values for contestants written in Go")
	cpus := flags.String("cpus", "all,1", "CPUs a sample may use: all, or 1 for parent and child sharing one")
	flags.StringVar(&o.jsonFile, "json", "", "write everything, every sample included, to this `file`")
	flags.StringVar(&o.markdownFile, "md", "", "write the tables as Markdown to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	err := o.complete(flags, *run, *procs, *cpus)
	if err != nil {
		fmt.Fprintln(errout, "bench:", err)
	}
	return o, err
}

func (o *options) complete(flags *flag.FlagSet, run, procs, cpus string) (err error) {
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.run, err = regexp.Compile(run); err != nil {
		return err
	}
	if o.procs, err = parseNumbers(procs); err != nil {
		return fmt.Errorf("-procs: %w", err)
	}
	if o.cpus, err = parseNumbers(strings.ReplaceAll(cpus, "all", "0")); err != nil {
		return fmt.Errorf("-cpus: %w", err)
	}
	for _, n := range o.procs {
		if n == 0 {
			return errors.New("-procs: GOMAXPROCS must be at least 1")
		}
	}
	for _, n := range o.cpus {
		if n > 1 {
			return errors.New("-cpus: only all and 1 are supported")
		}
	}
	pairsGiven := false
	flags.Visit(func(f *flag.Flag) { pairsGiven = pairsGiven || f.Name == "pairs" })
	if o.short && !pairsGiven {
		o.rounds = 1
	}
	if o.rounds < 1 {
		return errors.New("-pairs must be at least 1")
	}
	return nil
}

func parseNumbers(list string) ([]int, error) {
	var numbers []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a number", field)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// OptionsSummary is what of the command line a reader of the figures must know.
type OptionsSummary struct {
	Rounds int  `json:"rounds"`
	Short  bool `json:"short"`
}

func (o options) summary() OptionsSummary {
	return OptionsSummary{Rounds: o.rounds, Short: o.short}
}
