package rpctest_test

import (
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// newSurvivor makes a loop that survives panics, and counts them.
func newSurvivor(t *testing.T) (loop *reactor.Loop, panics *int) {
	t.Helper()
	panics = new(int)
	return newLoopWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { *panics++ }}), panics
}

// saying writes a byte, and goes on as serve.
func saying(serve func(rpc.FDs) error) func(rpc.FDs) error {
	return func(fds rpc.FDs) error {
		_, w := fds.FDs()
		if _, err := syscall.Write(w, []byte("x")); err != nil {
			return err
		}
		return serve(fds)
	}
}

// A panic in one of several functions given to OnEnd kept those after it from being called.
func TestPanicInOneOnEndDoesNotKeepOthersFromTheirs(t *testing.T) {
	loop, panics := newSurvivor(t)
	tr := rpctest.Start(t, loop, never)
	ends := 0
	for range 3 {
		tr.OnEnd(func(error) { ends++; panic("in OnEnd") })
	}
	tr.Kill()
	until(t, loop, func() bool { return *panics > 0 })
	if ends != 3 || *panics != 3 {
		t.Errorf("%d of 3 were called, and %d panics heard of", ends, *panics)
	}
}

// A panic whose value was reactor.ErrClosed was taken for the end of the loop.
func TestPanicWithErrClosedIsNotTheEndOfTheLoop(t *testing.T) {
	loop, panics := newSurvivor(t)
	tr := rpctest.Start(t, loop, saying(never))
	var cause error
	tr.OnEnd(func(err error) { cause = err })
	_, err := tr.Open(reactor.StreamConfig{OnData: func([]byte) { panic(reactor.ErrClosed) }})
	must(t, err)
	until(t, loop, func() bool { return cause != nil })
	if exit, ok := errors.AsType[*child.ExitError](cause); !ok || exit.State.Code != 0 || *panics != 1 {
		t.Errorf("it ended with %v, after %d panics", cause, *panics)
	}
}

// A child whose stream has failed in the parent, and that does not end by itself, was waited for as long as it liked; one
// that is a process is put down.
func TestChildWhoseStreamHasFailedIsPutDown(t *testing.T) {
	loop, panics := newSurvivor(t)
	block := make(chan struct{})
	defer close(block)
	hang := func(rpc.FDs) error { <-block; return nil }
	tr := rpctest.StartWith(t, loop, rpctest.Config{EOFWait: time.Millisecond}, saying(hang))
	var cause error
	tr.OnEnd(func(err error) { cause = err })
	_, err := tr.Open(reactor.StreamConfig{OnData: func([]byte) { panic("in OnData") }})
	must(t, err)
	until(t, loop, func() bool { return cause != nil })
	exit, ok := errors.AsType[*child.ExitError](cause)
	if !ok || exit.State.Signal != syscall.SIGKILL || exit.State.Asked != child.AskedByAbort || *panics != 1 {
		t.Errorf("it ended with %v, after %d panics", cause, *panics)
	}
	if _, blamed := errors.AsType[*reactor.Panic](cause); !blamed || errors.Is(cause, child.ErrClosedPipe) {
		t.Errorf("the reason is %v", exit.Reason)
	}
}

// A child that had ended in time was said to have been killed, if its test was busy until the time was over.
func TestChildThatHasEndedInTimeIsNotKilled(t *testing.T) {
	for name, end := range map[string]func(*rpctest.Transport){
		"output": (*rpctest.Transport).CloseOutput,
		"stop":   func(tr *rpctest.Transport) { _ = tr.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			clock := reactortest.NewClock()
			loop := newLoopWith(t, reactor.Config{Clock: clock})
			quit := make(chan struct{})
			tr := rpctest.Start(t, loop, func(rpc.FDs) error { <-quit; return nil })
			newLog(t, loop, tr)
			var cause error
			tr.OnEnd(func(err error) { cause = err })
			end(tr)
			close(quit)
			must(t, tr.Wait())
			clock.Advance(time.Minute)
			until(t, loop, func() bool { return cause != nil })
			if exit, ok := errors.AsType[*child.ExitError](cause); !ok || !exit.Clean() {
				t.Errorf("it ended with %v", cause)
			}
		})
	}
}

// A panic over the last bytes that a child had written kept its end from being told.
func TestPanicOverTheLastBytesLeavesTheEnd(t *testing.T) {
	loop, panics := newSurvivor(t)
	tr := rpctest.Start(t, loop, saying(func(rpc.FDs) error { return nil }))
	ended := false
	tr.OnEnd(func(error) { ended = true })
	s, err := tr.Open(reactor.StreamConfig{OnData: func([]byte) { panic("in OnData") }})
	must(t, err)
	must(t, s.Pause()) // so that the exit comes first
	until(t, loop, func() bool { return ended })
	if *panics != 1 {
		t.Errorf("%d panics", *panics)
	}
}

// Twice as many bytes as there are numbers were less than none, and a panic.
func TestAllThatComesMayBeDroppedTwice(t *testing.T) {
	drop := rpctest.Fault{At: 4, Do: rpctest.Drop, N: math.MaxInt}
	pieces, _ := through(t, rpctest.Config{ToParent: rpctest.Faults{Piece: 2, List: []rpctest.Fault{drop, drop}}}, "0123456789")
	if got := strings.Join(pieces, ""); got != "0123" {
		t.Errorf("what came back is %q", got)
	}
}

// A delay between none and the longest there is was a panic.
func TestLongestDelayMayBeDrawn(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToChild: rpctest.Faults{Delay: math.MaxInt64, RandomDelay: true}}, parrot)
	ended := false
	tr.OnEnd(func(error) { ended = true })
	s, err := tr.Open(reactor.StreamConfig{})
	must(t, err)
	must(t, s.Write([]byte("0")))
	must(t, loop.Poll(-1)) // it is there
	tr.Kill()
	until(t, loop, func() bool { return ended })
}

// A test that closed its loop when only a part of what the child had written was passed on was failed by that.
func TestLoopMayBeClosedBetweenTwoPieces(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToParent: rpctest.Faults{Piece: 1}}, parrot)
	var cause error
	tr.OnEnd(func(err error) { cause = err })
	got := 0
	s, err := tr.Open(reactor.StreamConfig{OnData: func(data []byte) { got += len(data) }})
	must(t, err)
	must(t, s.Write([]byte("0123456789")))
	until(t, loop, func() bool { return got > 0 })
	must(t, loop.Close())
	if got == 10 || cause != reactor.ErrClosed {
		t.Errorf("after %d bytes it ended with %v", got, cause)
	}
}
