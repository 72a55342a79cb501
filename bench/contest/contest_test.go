package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes this binary the servers of its own tests.
func TestMain(m *testing.M) {
	r := contest()
	r.contestants = append(r.contestants, brokenContestants()...)
	if handled, err := runServer(r); handled {
		exit(err)
	}
	os.Exit(m.Run())
}

// hold one scenario, with a driver that soon loses patience.
func runScenario(t *testing.T, id, contestant string) Verdict {
	t.Helper()
	for _, s := range scenarios() {
		if s.ID != id {
			continue
		}
		trial, err := newTrial(contestant, testSeed, true)
		if err != nil {
			t.Fatal(err)
		}
		trial.Stall = time.Second
		verdict, err := s.play(trial)
		if endErr := trial.end(); endErr != nil {
			t.Error(endErr)
		}
		if err != nil {
			t.Fatalf("%s %s: %v", id, contestant, err)
		}
		return verdict
	}
	t.Fatalf("no scenario %q", id)
	return Verdict{}
}

// alone says whether a test measures CPU time, and is not to share the processor.
func alone(scenario string) bool {
	return scenario == "no-files" || strings.HasPrefix(scenario, "idle")
}

func TestDriverFindsWhatIsBroken(t *testing.T) {
	for _, test := range []struct {
		scenario, fault string
		want            Kind
		text            string
	}{
		{"echo-tcp", "loses", loses, "lost 1 of 524,288 bytes"},
		{"echo-unix", "loses", loses, "lost 1 of 524,288 bytes"},
		{"echo-tcp", "repeats", repeats, "repeated"},
		{"push", "loses", loses, "lost 1 of 1,048,576 bytes"},
		{"echo-tcp", "corrupts", corrupts, "foreign"},
		{"echo-tcp", "closes-twice", miscounts, "1 of 1 connections closed more than once"},
		{"echo-tcp", "never-closes", miscounts, "1 of 1 connections never closed"},
		{"echo-tcp", "panics", exits, "broken on purpose"},
		{"echo-tcp", "returns", exits, "a connection came"},
		{"half-close", "deaf-at-eof", loses, "lost 4,194,304 of 4,194,304 bytes"},
		{"vector-tcp", "loses", loses, "lost 1 of 4,194,304 bytes"},
		{"vector-unix", "repeats", repeats, ""},
		{"vector-tcp", "overshoots", repeats, "1 bytes too many"},
		{"write-close", "overshoots", repeats, "1 bytes too many"},
		{"end-shutdown", "keeps-open", leaks, "leaves it open"},
		{"reset-storm", "one-reset", hangs, "serves nobody after"},
		{"write-close", "rst-at-close", resets, "reset"},
		{"write-close", "corrupts", corrupts, ""},
		{"end-close", "skips-tail", loses, "lost"},
		{"end-close-unix", "skips-tail", loses, "lost"},
		{"end-shutdown", "closes-twice", miscounts, "closed more than once"},
		{"end-reset", "never-closes", miscounts, "never closed"},
		{"reset-storm", "never-closes", miscounts, "50 of 50 connections never closed"},
		{"inherit", "inherits", leaks, "inherits 10 descriptors: 10 socket"},
		{"no-files", "returns", exits, "a connection came"},
		{"no-files", "spins", spins, "recovers"},
		{"idle", "spins", spins, "% CPU"},
		{"never-read", "hoards", keeps, "took 64 of 64 MiB"},
		{"after-burst", "hoards", keeps, "B heap"},
		{"stop-callback", "deaf-to-stop", hangs, "still serving after 2s"},
		{"stop-goroutine", "leaks", leaks, "leaves 1 goroutines, 1 descriptors"},
	} {
		t.Run(test.scenario+"/"+test.fault, func(t *testing.T) {
			if !alone(test.scenario) {
				t.Parallel()
			}
			got := runScenario(t, test.scenario, test.fault)
			if got.Kind != test.want || !strings.Contains(got.Text, test.text) {
				t.Errorf("verdict %d %q, want kind %d with %q", got.Kind, got.Text, test.want, test.text)
			}
		})
	}
}

// What finds faults must find none where there is none. For evfork and net the
// command's -short run shows the same.
func TestDriverFindsNothingWhereNothingIsBroken(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.ID, func(t *testing.T) {
			if !alone(s.ID) {
				t.Parallel()
			}
			if got := runScenario(t, s.ID, "none"); got.Kind != fine {
				t.Errorf("verdict %d %q", got.Kind, got.Text)
			}
		})
	}
}

// Every contestant's server is one that serves; what else it does is the
// command's to say.
func TestEveryContestantServes(t *testing.T) {
	for _, c := range contest().contestants {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if got := runScenario(t, "inherit", c.Name); got.Kind != fine && got.Kind != leaks {
				t.Errorf("verdict %d %q", got.Kind, got.Text)
			}
		})
	}
}

// Ctrl-C in a terminal is for the whole group of the driver: it ended the servers as well, and the verdict about them was "exits".
func TestServerIsInAGroupOfItsOwn(t *testing.T) {
	trial, err := newTrial(nameEvfork, testSeed, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := trial.start(Order{Role: roleEcho, Network: "tcp"})
	if err != nil {
		t.Fatal(err)
	}
	pid := p.cmd.Process.Pid
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("server %d is in the group %d of the driver %d: %v", pid, group, os.Getpid(), err)
	}
	if err := trial.end(); err != nil {
		t.Error(err)
	}
}
