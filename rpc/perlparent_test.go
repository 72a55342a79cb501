package rpc_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// serveStdioEnv makes the test binary a program that serves on its stdin and
// stdout, as one that a stranger starts.
const serveStdioEnv = "EVFORK_TEST_SERVE_STDIO"

// stdio is rpc.FDs.
type stdio struct{}

func (stdio) FDs() (readFD, writeFD int) { return 0, 1 }

// serveStdio serves what the arguments say, and does not return.
func serveStdio() {
	if err := parsePeer(os.Args[1:]).serve(stdio{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// perlParent is a program that drives one of our servers: testdata/parent.pl, or
// testdata/anyevent.pl with the modules that are named.
type perlParent struct {
	modules string
	peer    peer
}

// eachPerlParent runs a test with each parent and each of our servers, on both
// wires of AnyEvent::Fork::RPC.
func eachPerlParent(t *testing.T, test func(t *testing.T, p perlParent)) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("there is no perl here")
	}
	for _, modules := range []string{"core", "AnyEvent::Fork", "AnyEvent::Fork::RPC"} {
		t.Run(modules, func(t *testing.T) {
			if modules != "core" && exec.Command("perl", "-M"+modules, "-e1").Run() != nil {
				t.Skip("there is no Perl module " + modules + " here")
			}
			eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
				for _, server := range []string{"sync", "async", "goroutines"} {
					p := peer{transport: "stdio", server: server, wire: wire}
					t.Run(server, func(t *testing.T) {
						newFixture(t) // skips without a poller
						test(t, perlParent{modules, p})
					})
				}
			})
		})
	}
}

// ending is the last line of the parent.
func (p perlParent) ending(waiting, exitCode int) string {
	if p.modules != "core" { // whose children have another parent
		return fmt.Sprintf("eof %d waiting", waiting)
	}
	return fmt.Sprintf("eof %d waiting, exit %d", waiting, exitCode)
}

// calls has the parent make the calls, and returns the lines that it prints.
func (p perlParent) calls(t *testing.T, calls ...[]string) []string {
	t.Helper()
	script := []string{"testdata/parent.pl"}
	if p.modules != "core" {
		script = []string{"testdata/anyevent.pl", p.modules}
	}
	self, err := os.Executable()
	must(t, err)
	args := append(script, strings.TrimPrefix(p.peer.wire.String(), "anyevent-"), self)
	cmd := exec.CommandContext(t.Context(), "perl", append(args, p.peer.args()...)...)
	cmd.Env = append(os.Environ(), serveStdioEnv+"=1")
	var in, errs strings.Builder
	for _, values := range calls {
		fmt.Fprintln(&in, strings.TrimPrefix(line("", values...), " "))
	}
	cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perl: %v: %s", err, errs.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// line is what the parent reads, or prints, for a list of values.
func line(what string, values ...string) string {
	for _, v := range values {
		what += " x" + hex.EncodeToString([]byte(v))
	}
	return what
}

func TestPerlParentGetsEveryReply(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p perlParent) {
		var calls [][]string
		want := []string{p.ending(0, 0)}
		for i := range 5000 {
			calls = append(calls, []string{"echo", fmt.Sprint(i)})
			want = append(want, line(fmt.Sprint("reply ", i+1), fmt.Sprint(i)))
		}
		got := p.calls(t, calls...)
		if p.peer.server == "goroutines" && p.peer.wire == rpc.AnyEventAsync { // in any order
			slices.Sort(got)
			slices.Sort(want)
		} else {
			want = append(want[1:], want[0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("the parent got %d lines, not %d, or others; the last is %s", len(got), len(want), got[len(got)-1])
		}
	})
}

func TestPerlParentGetsEveryByteAndLength(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p perlParent) {
		values := everyByteAndLength()
		p.peer.limit = 1
		got := p.calls(t, append([]string{"echo"}, values...), []string{"echo"})
		want := []string{line("reply 1", values...), "reply 2", p.ending(0, 0)}
		if !slices.Equal(got, want) {
			t.Error("the values changed")
		}
	})
}

func TestPerlParentGetsEventsInTheirPlace(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p perlParent) {
		p.peer.limit = 1 // so that goroutines have an order, too
		got := p.calls(t, []string{"echo", "a"}, []string{"event", "e", "f"}, []string{"echo", "b"}, []string{"event"})
		want := []string{line("reply 1", "a"), line("event", "e", "f"), line("reply 2", "sent"),
			line("reply 3", "b"), "event", line("reply 4", "sent"), p.ending(0, 0)}
		if !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}

// The parent has closed its side long before the call is answered.
func TestPerlParentThatClosesGetsWhatIsStillOpen(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p perlParent) {
		if p.peer.server == "sync" {
			t.Skip("does not apply: the sync server holds no call")
		}
		got := p.calls(t, []string{"hold", "first"}, []string{"hold", "second"}, []string{"release"})
		want := []string{line("reply 1", "first"), line("reply 2", "second"), line("reply 3", "released")}
		if p.peer.wire == rpc.AnyEventAsync {
			slices.Sort(got)
			want = append([]string{p.ending(0, 0)}, want...)
		} else {
			want = append(want, p.ending(0, 0))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}

func TestPerlParentSeesAFailureAsAnEOF(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p perlParent) {
		p.peer.limit = 1
		calls := [][]string{{"echo", "good"}, {"fail", "out of cheese"}}
		if p.peer.wire == rpc.AnyEventSync { // on the other, what was begun is still answered
			calls = append(calls, []string{"echo", "never"})
		}
		got := p.calls(t, calls...)
		if want := []string{line("reply 1", "good"), p.ending(len(calls)-1, 1)}; !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}

// Perl takes a program without arguments for a command line, and divides it at its spaces.
func TestGoWorkerMayHaveSpacesInItsPath(t *testing.T) {
	if exec.Command("perl", "-MAnyEvent::Fork", "-e1").Run() != nil {
		t.Skip("there is no Perl with AnyEvent::Fork here")
	}
	newFixture(t) // skips without a poller
	self, err := os.Executable()
	must(t, err)
	p := peer{transport: "stdio", server: "sync", wire: rpc.AnyEventSync}
	script := "#!/bin/sh\nexec '" + strings.Join(append([]string{self}, p.args()...), "' '") + "'\n"
	program := filepath.Join(t.TempDir(), "a worker")
	must(t, os.WriteFile(program, []byte(script), 0o700))
	cmd := exec.CommandContext(t.Context(), "perl", "testdata/anyevent.pl", "AnyEvent::Fork", "sync", program)
	cmd.Env = append(os.Environ(), serveStdioEnv+"=1")
	cmd.Stdin = strings.NewReader(strings.TrimPrefix(line("", "echo", "here"), " ") + "\n")
	out, err := cmd.CombinedOutput()
	if want := line("reply 1", "here") + "\neof 0 waiting\n"; err != nil || string(out) != want {
		t.Errorf("perl ended with %v: %s", err, out)
	}
}

// docs/from-anyevent.md quotes the adapter that these tests use, and a program.
func TestPageForPerlQuotesWhatIsTested(t *testing.T) {
	page, err := os.ReadFile("../docs/from-anyevent.md")
	must(t, err)
	for _, name := range []string{"../examples/perl/GoWorker.pm", "../examples/goworker/main.go"} {
		quoted, err := os.ReadFile(name)
		must(t, err)
		if !strings.Contains(string(page), string(quoted)) {
			t.Errorf("the page does not quote %s", name)
		}
	}
}

// The page says of each option and function of the three modules what it is here.
func TestPageForPerlNamesEverything(t *testing.T) {
	page, err := os.ReadFile("../docs/from-anyevent.md")
	must(t, err)
	for _, name := range strings.Fields(`
		on_error on_event on_destroy init done async serialiser buflen buflen_req buflen_res
		STRING_SERIALISER JSON_SERIALISER CBOR_XS_SERIALISER STORABLE_SERIALISER NSTORABLE_SERIALISER
		AnyEvent::Fork::RPC::run AnyEvent::Fork::RPC::event AnyEvent::Fork::RPC::flush AnyEvent::Fork::RPC::Sync
		new new_exec fork require eval send_arg send_fh run pid to_fh new_from_fh
		AnyEvent::Fork::Serve::run_args AnyEvent::Fork::Early ::Template AnyEvent::Fork::Remote
		AnyEvent::Fork::Pool::run max idle load start stop retire ncpu`) {
		if !regexp.MustCompile("[`$: (]" + regexp.QuoteMeta(name) + "[` (),]").Match(page) {
			t.Errorf("the page does not name %s", name)
		}
	}
}
