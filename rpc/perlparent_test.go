package rpc_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
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

// eachPerlParent runs a test with the parent of testdata/parent.pl and each of
// our servers, on both wires of AnyEvent::Fork::RPC.
func eachPerlParent(t *testing.T, test func(t *testing.T, p peer)) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("there is no perl here")
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
			p := peer{transport: "stdio", server: server, wire: wire}
			t.Run(server, func(t *testing.T) {
				newFixture(t) // skips without a poller
				test(t, p)
			})
		})
	}
}

// perlCalls has the parent make the calls, and returns the lines that it prints.
func perlCalls(t *testing.T, p peer, calls ...[]string) []string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	args := append([]string{"testdata/parent.pl", strings.TrimPrefix(p.wire.String(), "anyevent-"), self}, p.args()...)
	cmd := exec.CommandContext(t.Context(), "perl", args...)
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

const orderlyEnd = "eof 0 waiting, exit 0"

func TestPerlParentGetsEveryReply(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p peer) {
		var calls [][]string
		want := []string{orderlyEnd}
		for i := range 5000 {
			calls = append(calls, []string{"echo", fmt.Sprint(i)})
			want = append(want, line(fmt.Sprint("reply ", i+1), fmt.Sprint(i)))
		}
		got := perlCalls(t, p, calls...)
		if p.server == "goroutines" && p.wire == rpc.AnyEventAsync { // in any order
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
	eachPerlParent(t, func(t *testing.T, p peer) {
		values := everyByteAndLength()
		p.limit = 1
		got := perlCalls(t, p, append([]string{"echo"}, values...), []string{"echo"})
		want := []string{line("reply 1", values...), "reply 2", orderlyEnd}
		if !slices.Equal(got, want) {
			t.Error("the values changed")
		}
	})
}

func TestPerlParentGetsEventsInTheirPlace(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p peer) {
		p.limit = 1 // so that goroutines have an order, too
		got := perlCalls(t, p, []string{"echo", "a"}, []string{"event", "e", "f"}, []string{"echo", "b"}, []string{"event"})
		want := []string{line("reply 1", "a"), line("event", "e", "f"), line("reply 2", "sent"),
			line("reply 3", "b"), "event", line("reply 4", "sent"), orderlyEnd}
		if !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}

// The parent has closed its side long before the call is answered.
func TestPerlParentThatClosesGetsWhatIsStillOpen(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p peer) {
		if p.server == "sync" {
			t.Skip("does not apply: the sync server holds no call")
		}
		got := perlCalls(t, p, []string{"hold", "first"}, []string{"hold", "second"}, []string{"release"})
		want := []string{line("reply 1", "first"), line("reply 2", "second"), line("reply 3", "released")}
		if p.wire == rpc.AnyEventAsync {
			slices.Sort(got)
			want = append([]string{orderlyEnd}, want...)
		} else {
			want = append(want, orderlyEnd)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}

func TestPerlParentSeesAFailureAsAnEOF(t *testing.T) {
	eachPerlParent(t, func(t *testing.T, p peer) {
		p.limit = 1
		calls := [][]string{{"echo", "good"}, {"fail", "out of cheese"}}
		if p.wire == rpc.AnyEventSync { // on the other, what was begun is still answered
			calls = append(calls, []string{"echo", "never"})
		}
		got := perlCalls(t, p, calls...)
		if want := []string{line("reply 1", "good"), fmt.Sprintf("eof %d waiting, exit 1", len(calls)-1)}; !slices.Equal(got, want) {
			t.Errorf("the parent got %q", got)
		}
	})
}
