package rpc_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

func (p twoFDs) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// A server begins by writing each reply at once, and decides anew with each of them. ServeSync once kept to that until its
// input was empty, which it never is with a parent that is fast enough, and ServeAsync for six reads. One packet of
// the socket is one write.
func TestServersBatchOnceHandlersAreCheapAmidABatch(t *testing.T) {
	t.Run("sync", func(t *testing.T) {
		countReplyWrites(t, func(f twoFDs) error {
			defer f.close() // ServeAsync does
			return rpc.ServeSync(f, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil })
		})
	})
	t.Run("async", func(t *testing.T) {
		countReplyWrites(t, func(f twoFDs) error {
			return rpc.ServeAsync(f, newFixture(t).Loop, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(request) })
		})
	})
}

// countReplyWrites has the server answer calls that come in one read.
func countReplyWrites(t *testing.T, serve func(twoFDs) error) {
	const calls = 250 // as many packets as the socket takes in any case
	var in [2]int
	must(t, unix.Pipe2(in[:], unix.O_CLOEXEC))
	out, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	input := hello + strings.Repeat(frame(1, "x"), calls)
	n, err := unix.Write(in[1], []byte(input))
	must(t, err)
	must(t, unix.Close(in[1]))
	if n != len(input) {
		t.Fatalf("the pipe took %d of %d bytes", n, len(input))
	}
	writes := make(chan int)
	go func() { writes <- countPackets(out[0]) }()
	must(t, serve(twoFDs{in[0], out[1]}))
	// The mean falls by an eighth with each call, so after some dozens in any case.
	if got := <-writes; got > calls/5*4 {
		t.Errorf("%d replies in %d writes", calls, got)
	}
	must(t, unix.Close(out[0]))
}

// countPackets reads to the end.
func countPackets(fd int) (packets int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case n <= 0:
			return packets
		default:
			packets++
		}
	}
}

// How long a write takes says nothing of the handlers: ServeAsync once counted it, and where each takes longer than handlers may, under
// strace or beside much other work, never had replies wait for others.
func TestServersBatchThoughWritesAreSlow(t *testing.T) {
	if raceDetector {
		t.Skip("handlers are not cheap with the race detector")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("missing here: ", err)
	}
	slow := []string{"strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=write", "-e", "inject=write:delay_enter=500"}
	if out, err := exec.Command(slow[0], append(slow[1:], "-o", os.DevNull, "true")...).CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v\n%s", err, out)
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t) // skips without a poller
			const calls = 500
			self, err := os.Executable()
			must(t, err)
			trace := filepath.Join(t.TempDir(), "trace")
			args := append(append(slow[1:], "-o", trace, self), peer{transport: "stdio", server: server}.args()...)
			cmd := exec.CommandContext(t.Context(), slow[0], args...)
			cmd.Env = append(os.Environ(), serveStdioEnv+"=1")
			cmd.Stdin = strings.NewReader(hello + strings.Repeat(frame(1, string(request("echo", "x"))), calls))
			_, err = cmd.Output()
			must(t, err)
			text, err := os.ReadFile(trace)
			must(t, err)
			// The mean falls by an eighth with each call, so after some dozens in any case.
			if got := strings.Count(string(text), "write(1,"); got > calls/5*4 {
				t.Errorf("%d replies in %d writes", calls, got)
			}
		})
	}
}
