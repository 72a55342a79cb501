package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// shortContestants are those of -short: ours, and the one that is always there.
const shortContestants = "^(evfork|net)$"

type options struct {
	scenarios    *regexp.Regexp
	contestants  *regexp.Regexp
	runs         int
	parallel     int
	seed         uint64
	short        bool
	command      string
	jsonFile     string
	markdownFile string
}

func parseOptions(args []string, errout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("contest", flag.ContinueOnError)
	flags.SetOutput(errout)
	run := flags.String("run", "", "only scenarios whose id matches this `regexp`")
	contestants := flags.String("contestants", "", "only contestants whose name matches this `regexp`")
	flags.IntVar(&o.runs, "runs", 5, "how often each contestant runs each scenario")
	flags.IntVar(&o.parallel, "parallel", 3, "how many runs at once: most of them wait most of the time")
	flags.Uint64Var(&o.seed, "seed", 0, "of all that is random; 0: a new one, which the report names")
	flags.BoolVar(&o.short, "short", false, "small sizes, one run, evfork and net only: does everything work?")
	flags.StringVar(&o.jsonFile, "json", "", "write everything, every verdict included, to this `file`")
	flags.StringVar(&o.markdownFile, "md", "", "write the table as Markdown to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.short && !given["contestants"] {
		*contestants = shortContestants
	}
	if o.short && !given["runs"] {
		o.runs = 1
	}
	o.command = strings.Join(append([]string{"go run ./contest"}, args...), " ")
	err := o.complete(flags, *run, *contestants)
	if err != nil {
		fmt.Fprintln(errout, "contest:", err)
	}
	return o, err
}

func (o *options) complete(flags *flag.FlagSet, run, contestants string) (err error) {
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.scenarios, err = regexp.Compile(run); err != nil {
		return err
	}
	if o.contestants, err = regexp.Compile(contestants); err != nil {
		return err
	}
	if o.runs < 1 || o.parallel < 1 {
		return errors.New("-runs and -parallel must be at least 1")
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) ^ uint64(os.Getpid())<<40
	}
	return nil
}

// OptionsSummary is what of the command line a reader of the table must know.
type OptionsSummary struct {
	Command string `json:"command"`
	Runs    int    `json:"runs"`
	Seed    uint64 `json:"seed"`
	Short   bool   `json:"short"`
}

func (o options) summary() OptionsSummary {
	return OptionsSummary{Command: o.command, Runs: o.runs, Seed: o.seed, Short: o.short}
}
