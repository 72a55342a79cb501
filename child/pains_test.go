package child_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
)

// TestTortureShortChildrenEndOnceEach: dozens at a time, all of which exit at
// once, many before anybody watches them. With EVFORK_TORTURE there are ten
// thousand.
func TestTortureShortChildrenEndOnceEach(t *testing.T) {
	count, atATime := 1000, 32
	switch {
	case os.Getenv("EVFORK_TORTURE") != "":
		count = 10_000
	case testing.Short():
		count = 200
	}
	f := newFixture(t)
	started, running, ended := 0, 0, 0
	ends := make([]int, count)
	exits := make([]int, count)
	for ended < count && !t.Failed() {
		for running < atATime && started < count {
			id := started
			k, err := child.Start(f.Loop, child.Config{Path: "true", Transport: child.Stdio})
			must(t, err)
			k.OnExit(func(s child.ExitState) {
				if exits[id]++; !s.Success() {
					t.Errorf("child %d %v", id, s)
				}
			})
			k.OnEnd(func(error) {
				ends[id]++
				running--
				ended++
			})
			started++
			running++
		}
		must(t, f.Poll(guard))
	}
	must(t, f.Run(t.Context())) // what is called too often would be called now
	for id := range count {
		if exits[id] != 1 || ends[id] != 1 {
			t.Fatalf("child %d: OnExit was called %d times, OnEnd %d times", id, exits[id], ends[id])
		}
	}
}

// TestOutputOfShortChildrenIsComplete: the exit is often seen before the output.
func TestOutputOfShortChildrenIsComplete(t *testing.T) {
	f := newFixture(t)
	for i := range 100 {
		k := f.start(shell("echo out " + strconv.Itoa(i) + "; echo err " + strconv.Itoa(i) + " >&2; exit " + strconv.Itoa(i)))
		f.until(k.ended)
		number := strconv.Itoa(i) + "\n"
		if k.data != "out "+number || k.err.String() != "err "+number || k.state.Code != i {
			t.Fatalf("child %d has written %q and %q and %v", i, k.data, k.err.String(), k.state)
		}
	}
}

// TestWriteToAChildThatClosedItsInput is EPIPE for the stream and no SIGPIPE for
// this process; what the child still writes is read to its end.
func TestWriteToAChildThatClosedItsInput(t *testing.T) {
	f := newFixture(t)
	config := shell("trap 'echo done; exit 7' USR1; exec 0<&-; echo closed; while :; do sleep 0.01; done")
	config.Ladder.CloseWait = guard // it is put down for this, but not before it has been tried
	k := f.startUnclaimed(config)
	closedIn, data := 0, ""
	s, err := k.Open(reactor.StreamConfig{
		OnData:       func(d []byte) { data += string(d) },
		OnWriteError: func(err error) { closedIn++; wantErr(t, err, unix.EPIPE) },
	})
	must(t, err)
	k.Ready()
	f.until(func() bool { return data == "closed\n" || k.ended() })
	if err := s.Write([]byte("for nobody\n")); err != nil && !errors.Is(err, unix.EPIPE) {
		t.Errorf("write: %v", err)
	}
	f.until(func() bool { return closedIn > 0 })
	must(t, k.Signal(unix.SIGUSR1))
	f.until(k.ended)
	if closedIn != 1 || data != "closed\ndone\n" || k.state.Code != 7 {
		t.Errorf("OnWriteError was called %d times, it wrote %q and %v", closedIn, data, k.state)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// TestChildrenOfOsExecKeepTheirStatus: another package starts processes of its own
// and waits for them in goroutines, at the same time. Each side gets the statuses
// of its own children, and all of them.
func TestChildrenOfOsExecKeepTheirStatus(t *testing.T) {
	f := newFixture(t)
	var others sync.WaitGroup
	var kids []*kid
	const each = 40
	for i := range each {
		cmd := exec.Command("sh", "-c", "exit 3")
		must(t, cmd.Start())
		others.Go(func() {
			var status *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 3 {
				t.Errorf("Wait of os/exec: %v, want exit status 3", err)
			}
		})
		kids = append(kids, f.start(steps("exit:"+strconv.Itoa(4+i%2))))
	}
	must(t, f.Run(t.Context()))
	others.Wait()
	for i, k := range kids {
		if k.exits != 1 || k.state.Code != 4+i%2 {
			t.Errorf("child %d ended %d times and %v", i, k.exits, k.state)
		}
	}
}
