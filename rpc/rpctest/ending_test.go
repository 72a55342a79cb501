package rpctest_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// lostTo returns the exit error of a call, or fails the test.
func lostTo(t *testing.T, err error) (*rpc.LostError, *child.ExitError) {
	t.Helper()
	lost, ok := errors.AsType[*rpc.LostError](err)
	exit, ok2 := errors.AsType[*child.ExitError](err)
	if !ok || !ok2 {
		t.Fatalf("the call ended with %v", err)
	}
	return lost, exit
}

// never begins to answer; it returns when its input ends.
func never(fds rpc.FDs) error {
	r, _ := fds.FDs()
	buf := make([]byte, 1<<16)
	for {
		n, err := syscall.Read(r, buf)
		if n <= 0 && err != syscall.EINTR {
			return err
		}
	}
}

func TestKillIsSignal9(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.Start(t, loop, never)
	l := newLog(t, loop, tr)
	c := l.call("one")
	must(t, loop.Poll(0))
	tr.Kill()
	if c.ends != 0 {
		t.Error("the call ended inside Kill")
	}
	l.wait()
	l.onceEach()
	_, exit := lostTo(t, c.err)
	if exit.State.Signal != syscall.SIGKILL || exit.State.Code != -1 || exit.State.Asked != child.AskedByNobody || exit.Clean() {
		t.Errorf("the state is %+v", exit.State)
	}
	if _, err := tr.Open(reactor.StreamConfig{}); !errors.Is(err, child.ErrExited) {
		t.Errorf("Open afterwards: %v", err)
	}
}

func TestReturnOfTheServerIsTheExit(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(rpc.FDs) error
		code  int
		says  string
	}{
		{"nil", func(rpc.FDs) error { return nil }, 0, "exited with code 0"},
		{"an error", func(rpc.FDs) error { return errors.New("no disk") }, 1, "exited with code 1; stderr: no disk"},
		{"a panic", func(rpc.FDs) error { panic("ouch") }, 2, "exited with code 2; stderr: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			loop := newLoop(t)
			block := make(chan struct{})
			tr := rpctest.Start(t, loop, func(fds rpc.FDs) error { <-block; return test.serve(fds) })
			l := newLog(t, loop, tr)
			c := l.call("one")
			close(block)
			l.wait()
			l.onceEach()
			_, exit := lostTo(t, c.err)
			if exit.State.Code != test.code || exit.State.Signal != 0 || !strings.Contains(c.err.Error(), test.says) {
				t.Errorf("%v: %+v", c.err, exit.State)
			}
			if err := tr.Wait(); (err == nil) != (test.code == 0) {
				t.Errorf("Wait returned %v", err)
			}
		})
	}
}

func TestWhatWasAnsweredBeforeTheExitIsDelivered(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToParent: rpctest.Faults{Piece: 3}}, func(fds rpc.FDs) error {
		return rpc.ServeSync(fds, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) {
			if string(request) == "panic" {
				panic("handlers' panics are answered")
			}
			return request, nil
		})
	})
	l := newLog(t, loop, tr)
	l.call(strings.Repeat("x", 1000))
	l.call("panic")
	l.client.Shutdown()
	l.wait()
	l.onceEach()
	if l.calls[0].err != nil || len(l.calls[0].reply) != 1000 {
		t.Errorf("the first call: %d bytes, %v", len(l.calls[0].reply), l.calls[0].err)
	}
	if remote, ok := errors.AsType[*rpc.RemoteError](l.calls[1].err); !ok || remote.Kind != rpc.KindPanic {
		t.Errorf("the second call: %v", l.calls[1].err)
	}
}

func TestSuspendedChildAnswersWhenItIsResumed(t *testing.T) {
	eachServer(t, func(t *testing.T, serve func(rpc.FDs) error) {
		loop := newLoop(t)
		tr := rpctest.Start(t, loop, serve)
		l := newLog(t, loop, tr)
		first := l.call("one")
		until(t, loop, func() bool { return first.ends > 0 })
		tr.Suspend()
		c := l.call("two")
		before, _ := tr.Passed()
		for range 5 {
			must(t, loop.Poll(time.Millisecond))
		}
		if after, _ := tr.Passed(); after != before || c.ends != 0 {
			t.Errorf("%d bytes were passed on, the call has ended %d times", after-before, c.ends)
		}
		tr.Resume()
		until(t, loop, func() bool { return c.ends > 0 })
		if c.reply != "two" {
			t.Errorf("%q, %v", c.reply, c.err)
		}
	})
}

func TestKillOfASuspendedChild(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.Start(t, loop, serveSync)
	l := newLog(t, loop, tr)
	tr.Suspend()
	c := l.call("one")
	must(t, loop.Poll(0))
	tr.Kill()
	l.wait()
	l.onceEach()
	lost, _ := lostTo(t, c.err)
	if exact && lost.Started {
		t.Error("the call may have been started, and nothing was read")
	}
}

func TestChildThatClosesASideIsKilled(t *testing.T) {
	for name, closeSide := range map[string]func(*rpctest.Transport){
		"output": (*rpctest.Transport).CloseOutput,
		"input":  (*rpctest.Transport).CloseInput,
	} {
		t.Run(name, func(t *testing.T) {
			loop := newLoop(t)
			quit := make(chan struct{})
			tr := rpctest.StartWith(t, loop, rpctest.Config{EOFWait: time.Millisecond}, func(rpc.FDs) error { <-quit; return nil })
			l := newLog(t, loop, tr)
			c := l.call("one")
			must(t, loop.Poll(0))
			closeSide(tr)
			l.wait()
			close(quit)
			l.onceEach()
			if _, exit := lostTo(t, c.err); !errors.Is(exit, child.ErrClosedPipe) || exit.State.Signal != syscall.SIGKILL {
				t.Errorf("the call ended with %v", c.err)
			}
		})
	}
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	loop := newLoop(t)
	quit := make(chan struct{})
	tr := rpctest.StartWith(t, loop, rpctest.Config{StopWait: time.Millisecond}, func(rpc.FDs) error { <-quit; return nil })
	l := newLog(t, loop, tr)
	var cause error
	tr.OnEnd(func(err error) { cause = err })
	l.client.Shutdown()
	l.wait()
	close(quit)
	l.onceEach()
	if exit, ok := errors.AsType[*child.ExitError](cause); !ok || exit.State.Asked != child.AskedByStop || exit.State.Signal != syscall.SIGKILL {
		t.Errorf("the cause is %v", cause)
	}
}

func TestProtocolViolationIsTheReason(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.Start(t, loop, func(fds rpc.FDs) error {
		_, w := fds.FDs()
		_, err := syscall.Write(w, []byte("usage: worker [-v]\n"))
		return errors.Join(err, never(fds))
	})
	l := newLog(t, loop, tr)
	c := l.call("one")
	l.wait()
	l.onceEach()
	_, exit := lostTo(t, c.err)
	if violation, ok := errors.AsType[*rpc.ProtocolError](exit.Reason); !ok || violation.Text != "usage: worker [-v]\n" || exit.State.Asked != child.AskedByAbort {
		t.Errorf("the reason is %v, asked by %d", exit.Reason, exit.State.Asked)
	}
}

func TestClosedLoopEndsTheTransport(t *testing.T) {
	rpctest.CheckLeaks(t)
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	tr := rpctest.Start(t, loop, serveSync)
	l := newLog(t, loop, tr)
	c := l.call("one")
	must(t, loop.Verify())
	must(t, loop.Close())
	l.onceEach()
	if !errors.Is(c.err, reactor.ErrClosed) {
		t.Errorf("the call ended with %v", c.err)
	}
	_ = tr.Wait() // returns; what it has met depends on how far the server was
}

func TestTransportThatIsNeverOpenedLeavesNothing(t *testing.T) {
	eachServer(t, func(t *testing.T, serve func(rpc.FDs) error) {
		loop := newLoop(t)
		rpctest.Start(t, loop, serve)
	})
}

func TestOnEndAfterTheEnd(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.Start(t, loop, serveSync)
	var first, second error
	tr.OnEnd(func(cause error) { first = cause })
	tr.Exit(3)
	until(t, loop, func() bool { return first != nil })
	tr.OnEnd(func(cause error) { second = cause })
	until(t, loop, func() bool { return second != nil })
	if exit, ok := errors.AsType[*child.ExitError](first); first != second || !ok || exit.State.Code != 3 {
		t.Errorf("%v, and then %v", first, second)
	}
}

// What a child wrote before it ended may be what it is put down for, whether its end
// has been noticed or not.
func TestProtocolViolationOfAChildThatHasEnded(t *testing.T) {
	loop := newLoop(t)
	tr := rpctest.StartWith(t, loop, rpctest.Config{ToParent: rpctest.Faults{Piece: 8}}, func(fds rpc.FDs) error {
		_, w := fds.FDs()
		_, err := syscall.Write(w, []byte("usage: worker [-v]\n"))
		return err
	})
	must(t, tr.Wait())
	l := newLog(t, loop, tr)
	c := l.call("one")
	l.wait()
	l.onceEach()
	_, exit := lostTo(t, c.err)
	if _, ok := errors.AsType[*rpc.ProtocolError](exit.Reason); !ok {
		t.Errorf("the call ended with %v", c.err)
	}
}
