package rpctest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// through sends bytes through a transport and returns what comes back, piece by
// piece, until the other side closes.
func through(t *testing.T, config rpctest.Config, send string) (pieces []string, cause error) {
	t.Helper()
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, config, parrot)
	ended := false
	tr.OnEnd(func(err error) { ended, cause = true, err })
	s, err := tr.Open(reactor.StreamConfig{OnData: func(data []byte) { pieces = append(pieces, string(data)) }})
	must(t, err)
	must(t, s.Write([]byte(send)))
	s.CloseWrite()
	until(t, loop, func() bool { return ended })
	return pieces, cause
}

func TestEachAction(t *testing.T) {
	const sent = "0123456789"
	for _, test := range []struct {
		name  string
		fault rpctest.Fault
		want  string
		cause string
	}{
		{"nothing", rpctest.Fault{At: 100, Do: rpctest.Kill}, sent, "exited with code 0"},
		{"insert at the beginning", rpctest.Fault{Do: rpctest.Insert, Data: []byte("xy")}, "xy" + sent, "exited with code 0"},
		{"insert", rpctest.Fault{At: 4, Do: rpctest.Insert, Data: []byte("xy")}, "0123xy456789", "exited with code 0"},
		{"insert at the end", rpctest.Fault{At: 10, Do: rpctest.Insert, Data: []byte("xy")}, sent + "xy", "exited with code 0"},
		{"repeat", rpctest.Fault{At: 4, Do: rpctest.Repeat, N: 2}, "012323456789", "exited with code 0"},
		{"repeat more than there was", rpctest.Fault{At: 2, Do: rpctest.Repeat, N: 9}, "010123456789", "exited with code 0"},
		{"drop", rpctest.Fault{At: 4, Do: rpctest.Drop, N: 3}, "0123789", "exited with code 0"},
		{"repeat less than nothing", rpctest.Fault{At: 4, Do: rpctest.Repeat, N: math.MinInt}, sent, "exited with code 0"},
		{"drop less than nothing", rpctest.Fault{At: 4, Do: rpctest.Drop, N: -1}, sent, "exited with code 0"},
		{"half-close", rpctest.Fault{At: 4, Do: rpctest.HalfClose}, "0123", "exited with code 0"},
		{"kill", rpctest.Fault{At: 4, Do: rpctest.Kill}, "0123", "killed by signal 9"},
		{"exit", rpctest.Fault{At: 4, Do: rpctest.Exit, N: 7}, "0123", "exited with code 7"},
	} {
		for _, piece := range []int{0, 1, 3} {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				faults := rpctest.Faults{Piece: piece, List: []rpctest.Fault{test.fault}}
				pieces, cause := through(t, rpctest.Config{ToParent: faults, EOFWait: time.Minute}, sent)
				if got := strings.Join(pieces, ""); got != test.want || !strings.Contains(cause.Error(), test.cause) {
					t.Errorf("to the parent: %q, %v", got, cause)
				}
			})
		}
	}
}

// The child gets the same, and answers it if it can.
func TestEachActionTowardsTheChild(t *testing.T) {
	const sent = "0123456789"
	for _, test := range []struct {
		fault rpctest.Fault
		want  string
	}{
		{rpctest.Fault{At: 4, Do: rpctest.Insert, Data: []byte("xy")}, "0123xy456789"},
		{rpctest.Fault{At: 4, Do: rpctest.Repeat, N: 2}, "012323456789"},
		{rpctest.Fault{At: 4, Do: rpctest.Drop, N: 3}, "0123789"},
		{rpctest.Fault{At: 4, Do: rpctest.HalfClose}, "0123"},
	} {
		faults := rpctest.Faults{Piece: 2, List: []rpctest.Fault{test.fault}}
		pieces, _ := through(t, rpctest.Config{ToChild: faults, EOFWait: time.Minute}, sent)
		if got := strings.Join(pieces, ""); got != test.want {
			t.Errorf("%+v: %q", test.fault, got)
		}
	}
}

func TestPiecesAreReadOneByOne(t *testing.T) {
	pieces, _ := through(t, rpctest.Config{ToParent: rpctest.Faults{Piece: 1}}, "abc")
	if len(pieces) != 3 {
		t.Errorf("the pieces are %q", pieces)
	}
}

func TestRandomPiecesAreThoseOfTheSeed(t *testing.T) {
	const sent = "the quick brown fox jumps over the lazy dog"
	cut := func(seed uint64) string {
		pieces, _ := through(t, rpctest.Config{
			Seed:     seed,
			ToChild:  rpctest.Faults{Delay: time.Millisecond}, // all of it at once
			ToParent: rpctest.Faults{Piece: 9, RandomPieces: true},
		}, sent)
		if got := strings.Join(pieces, ""); got != sent {
			t.Errorf("%q", got)
		}
		return fmt.Sprintf("%q", pieces)
	}
	first, again, other := cut(1), cut(1), cut(2)
	if first != again || first == other {
		t.Errorf("seed 1: %s\nand again: %s\nseed 2: %s", first, again, other)
	}
}

func TestLongFlowsArePassedOnWhole(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{Seed: 1, ToChild: rpctest.Faults{Piece: 5000, RandomPieces: true}}, parrot)
	var got bytes.Buffer
	ended := false
	tr.OnEnd(func(error) { ended = true })
	s, err := tr.Open(reactor.StreamConfig{OnData: func(data []byte) { got.Write(data) }})
	must(t, err)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	must(t, s.Write(sent))
	s.CloseWrite()
	until(t, loop, func() bool { return ended })
	if !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("%d bytes came back of %d, or others", got.Len(), len(sent))
	}
	if toChild, toParent := tr.Passed(); toChild != int64(len(sent)) || toParent != int64(len(sent)) {
		t.Errorf("Passed is %d, %d", toChild, toParent)
	}
}

func TestStallLastsUntilResume(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToChild: rpctest.Faults{List: []rpctest.Fault{{At: 50, Do: rpctest.Stall}}}}, serveSync)
	l := newLog(t, loop, tr)
	c := l.call(strings.Repeat("x", 100))
	until(t, loop, func() bool { toChild, _ := tr.Passed(); return toChild == 50 })
	for range 5 {
		must(t, loop.Poll(time.Millisecond))
	}
	if toChild, _ := tr.Passed(); toChild != 50 || c.ends != 0 {
		t.Errorf("%d bytes were passed on, and the call ended %d times", toChild, c.ends)
	}
	tr.Resume()
	l.client.Shutdown()
	l.wait()
	l.onceEach()
	if c.err != nil {
		t.Error(c.err)
	}
}

// A child that reads nothing fills its pipe and the client's buffer, no more.
func TestStalledChildMakesTheClientFull(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToChild: rpctest.Faults{List: []rpctest.Fault{{At: 50, Do: rpctest.Stall}}}}, serveSync)
	client, err := rpc.NewClient(tr, rpc.Config{MaxBuffered: 100_000})
	must(t, err)
	made, ended := 0, 0
	for err == nil {
		err = client.GoBytes(func(rpc.Payload, error) { ended++ }, make([]byte, 1000))
		if err == nil {
			made++
		}
		must(t, loop.Poll(0))
	}
	if err != rpc.ErrFull || made > 10_000 {
		t.Errorf("after %d calls: %v", made, err)
	}
	tr.Kill()
	until(t, loop, func() bool { return ended == made })
}

func TestWrapOfAProcess(t *testing.T) {
	loop := newLoop(t)
	proc, err := child.Start(loop, child.Config{Worker: "echo"})
	must(t, err)
	tr := rpctest.Wrap(t, loop, proc, rpctest.Config{ToChild: rpctest.Faults{Piece: 1}, ToParent: rpctest.Faults{Piece: 2}})
	l := newLog(t, loop, tr)
	c := l.call("hello")
	l.client.Shutdown()
	l.wait()
	l.onceEach()
	if c.reply != "hello" || c.err != nil || l.destroyed != 1 {
		t.Errorf("%q, %v; OnError: %v", c.reply, c.err, l.failed)
	}
}

func TestKillOfAWrappedProcess(t *testing.T) {
	loop := newLoop(t)
	proc, err := child.Start(loop, child.Config{Worker: "echo"})
	must(t, err)
	tr := rpctest.Wrap(t, loop, proc, rpctest.Config{ToParent: rpctest.Faults{List: []rpctest.Fault{{At: 3, Do: rpctest.Kill}}}})
	l := newLog(t, loop, tr)
	c := l.call("hello")
	l.wait()
	l.onceEach()
	_, exit := lostTo(t, c.err)
	if exit.PID != proc.PID() || exit.State.Signal != 9 || !strings.Contains(c.err.Error(), "after 3 bytes") {
		t.Errorf("the call ended with %v", c.err)
	}
}

func TestGarbageFromAWrappedProcessPutsItDown(t *testing.T) {
	loop := newLoop(t)
	proc, err := child.Start(loop, child.Config{Worker: "echo"})
	must(t, err)
	tr := rpctest.Wrap(t, loop, proc, rpctest.Config{ToParent: rpctest.Faults{List: []rpctest.Fault{{At: 0, Do: rpctest.Insert, Data: []byte("garbage!")}}}})
	l := newLog(t, loop, tr)
	c := l.call("hello")
	l.wait()
	l.onceEach()
	_, exit := lostTo(t, c.err)
	if _, ok := errors.AsType[*rpc.ProtocolError](exit.Reason); !ok || exit.State.Asked != child.AskedByAbort {
		t.Errorf("the call ended with %v", c.err)
	}
}
