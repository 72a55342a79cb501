package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

func TestCancelEndsTheCallAfterItHasReturned(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
		t.Run(wire.String(), func(t *testing.T) {
			f := newFixture(t)
			p := pipes("async")
			p.wire = wire
			c := f.connect(p, rpc.Config{})
			f.works(c)
			r, id := f.beginWith(c, rpc.CallOptions{}, "hold", "late")
			if !c.Cancel(id) || c.Cancel(id) {
				t.Error("Cancel reports the wrong thing")
			}
			if r.ended() {
				t.Error("the call ended inside Cancel")
			}
			f.until(r.ended)
			if !errors.Is(r.err, rpc.ErrCanceled) || c.InFlight() != 1 {
				t.Errorf("the call ended with %v, %d in flight", r.err, c.InFlight())
			}
			f.begin(c, "release")
			f.until(func() bool { return c.InFlight() == 0 })
			f.works(c)
			if r.ends != 1 {
				t.Errorf("the call ended %d times", r.ends)
			}
		})
	}
}

func TestCancelOfACallThatHasEndedDoesNothing(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	r, id := f.beginWith(c, rpc.CallOptions{}, "echo")
	f.until(r.ended)
	if c.Cancel(id) || c.Cancel(rpc.CallID{}) {
		t.Error("Cancel reports that it has ended a call")
	}
}

func TestCancelEndsTheHandlersContext(t *testing.T) {
	for _, test := range []struct{ server, function string }{
		{"goroutines", "until the end"}, {"async", "until the end"}, {"async", "until its context ends"},
	} {
		t.Run(test.server+"/"+test.function, func(t *testing.T) {
			f := newFixture(t)
			var w watched
			c := f.connect(pipes(test.server), w.config(rpc.Config{}))
			_, id := f.beginWith(c, rpc.CallOptions{}, test.function)
			f.until(func() bool { return len(w.events) == 1 })
			c.Cancel(id)
			f.until(func() bool { return c.InFlight() == 0 })
			if test.function == "until the end" && w.events[1] != "context canceled" {
				t.Errorf("events %q", w.events)
			}
			f.works(c)
		})
	}
}

// Also before the child has said hello, when it cannot be told yet.
func TestCallCancelledAtOnceIsNotBegun(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		r, id := f.beginWith(c, rpc.CallOptions{}, "until the end")
		must(t, f.Poll(0))
		c.Cancel(id)
		if p.server != "sync" { // which may have begun it, and knows no way to stop
			f.until(func() bool { return r.ended() && c.InFlight() == 0 })
			f.works(c)
		}
	})
}

// Calls that a server has not begun when their cancel comes are dropped. The sync
// server finds them all in one read, the other one while its only place is taken.
func TestCancelledCallsThatWaitAreNotBegun(t *testing.T) {
	for _, server := range []string{"sync", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			var w watched
			p := pipes(server)
			p.limit = 1
			proc := f.spawn(p, child.Config{})
			c := f.client(proc, p, w.config(rpc.Config{}))
			f.works(c)
			var first rpc.CallID
			if server == "goroutines" {
				_, first = f.beginWith(c, rpc.CallOptions{}, "until the end")
				f.until(func() bool { return len(w.events) == 1 })
			}
			stop(t, proc)
			var ids []rpc.CallID
			for i := range 100 {
				_, id := f.beginWith(c, rpc.CallOptions{}, "event", fmt.Sprint(i))
				ids = append(ids, id)
			}
			for i, id := range append(ids, first) {
				if i != 50 {
					c.Cancel(id)
				}
			}
			f.until(func() bool { return f.Stats().Buffered == 0 })
			must(t, proc.Signal(syscall.SIGCONT))
			f.until(func() bool { return c.InFlight() == 0 })
			f.works(c)
			if last := len(w.events) - 1; last > 2 || w.events[last] != "50" {
				t.Errorf("begun: %q", w.events)
			}
		})
	}
}

// While a call is slow, the sync server looks for cancels of those behind it. On a
// busy machine the slow call may be over, or not even begun, before the cancel is
// there: then it is given longer.
func TestSyncServerSeesCancelsWhileACallIsSlow(t *testing.T) {
	for slow := 20 * time.Millisecond; !seesTheCancel(t, slow); slow *= 4 {
		if slow > guard/4 {
			t.Fatalf("the cancelled call was begun, %v after it", slow)
		}
	}
}

func seesTheCancel(t *testing.T, slow time.Duration) bool {
	f := newFixture(t)
	var w watched
	proc := f.spawn(pipes("sync"), child.Config{})
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	f.works(c)
	stop(t, proc) // so that both are read together
	f.beginWith(c, within(slow), "until the end")
	_, second := f.beginWith(c, rpc.CallOptions{}, "event", "second")
	f.until(func() bool { return f.Stats().Buffered == 0 })
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(func() bool { return len(w.events) > 0 })
	c.Cancel(second)
	f.until(func() bool { return c.InFlight() == 0 })
	f.works(c)
	return w.events[0] == "begun" && len(w.events) <= 2
}

func TestAbandonTimeoutPutsTheChildDown(t *testing.T) {
	for _, how := range []string{"cancel", "deadline", "ctx"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t)
			other := f.connect(pipes("sync"), rpc.Config{})
			var w watched
			proc := f.spawn(pipes("async"), child.Config{})
			c := f.client(proc, peer{}, w.config(rpc.Config{AbandonTimeout: time.Millisecond}))
			f.works(c)
			stop(t, proc) // or it would answer a call that comes late
			innocent := f.begin(c, "hold")
			switch how {
			case "cancel":
				_, id := f.beginWith(c, rpc.CallOptions{}, "hold")
				c.Cancel(id)
			case "deadline":
				f.beginWith(c, within(time.Millisecond), "hold")
			case "ctx":
				ctx, cancel := context.WithCancel(t.Context())
				go c.Call(ctx, "hold")
				for c.InFlight() < 2 { // given up earlier, it would not be made
					must(t, f.Poll(time.Millisecond))
				}
				cancel()
			}
			f.until(w.ended)
			if !errors.Is(w.err, rpc.ErrUnresponsive) || !errors.Is(innocent.err, rpc.ErrUnresponsive) {
				t.Errorf("OnError got %v, the other call %v", w.err, innocent.err)
			}
			f.works(other)
		})
	}
}

func TestAbandonTimeoutSparesAChildThatAnswers(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.connect(pipes("async"), w.config(rpc.Config{AbandonTimeout: guard}))
	f.works(c)
	for range 10 {
		_, id := f.beginWith(c, rpc.CallOptions{}, "until the end")
		must(t, f.Poll(0))
		c.Cancel(id)
	}
	f.until(func() bool { return c.InFlight() == 0 })
	c.Shutdown()
	f.until(w.ended)
	if w.destroyed != 1 {
		t.Errorf("OnError got %v", w.err)
	}
}

// There is no room for the cancel in the buffer; it goes out when there is.
func TestCancelWaitsForRoom(t *testing.T) {
	f := newFixture(t)
	var w watched
	proc := f.spawn(pipes("goroutines"), child.Config{PipeSize: 4096})
	c := f.client(proc, peer{}, w.config(rpc.Config{MaxBuffered: 100_000}))
	f.works(c)
	r, id := f.beginWith(c, rpc.CallOptions{}, "until the end")
	f.until(func() bool { return len(w.events) == 1 })
	stop(t, proc)
	must(t, f.Poll(0))
	fill := 90_000
	for fill > 0 { // to the last bytes
		if err := c.GoBytes(nil, append(rpc.Strings("echo"), rpc.Strings(string(make([]byte, fill)))...)); err != nil {
			fill /= 2
		}
	}
	for c.GoBytes(nil, nil) == nil { // frames of eight bytes, as the cancel
	}
	c.Cancel(id)
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(func() bool { return r.ended() && c.InFlight() == 0 })
	if w.events[len(w.events)-1] != "context canceled" {
		t.Errorf("events %q", w.events)
	}
}

func TestSentinelsCrossTheWire(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{Sentinels: rpc.Sentinels{"not exist": fs.ErrNotExist, "mine": io.ErrClosedPipe}})
		_, err := f.ask(c, "not found", "it")
		var remote *rpc.RemoteError
		if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || !errors.As(err, &remote) {
			t.Fatalf("the call ended with %v", err)
		}
		if want := "looking for it: file does not exist"; remote.Message != want || remote.Kind != rpc.KindError {
			t.Errorf("%+v", remote)
		}
		unaware := f.connect(p, rpc.Config{})
		if _, err := f.ask(unaware, "not found", "it"); errors.Is(err, fs.ErrNotExist) || err == nil {
			t.Errorf("without the sentinel: %v", err)
		}
	})
}

// A handler that returns its ctx's error, or that of a ctx of its own.
func TestContextErrorsKeepTheirKind(t *testing.T) {
	for kind, is := range map[string]error{rpc.KindDeadline: context.DeadlineExceeded, rpc.KindCanceled: context.Canceled} {
		f := newFixture(t)
		transport, file := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{})
		r := f.begin(c, "one")
		_, err := file.WriteString(hello + frame(errorKind|1, "\x03why\x08"+kind+"\x00"))
		must(t, err)
		f.until(r.ended)
		if !errors.Is(r.err, is) || errors.Is(r.err, context.Canceled) == errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", kind, r.err)
		}
	}
}

// Ids are used again, and a CallID names its own call only.
func TestCancelLeavesALaterCallWithTheSameIDAlone(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	r, first := f.beginWith(c, rpc.CallOptions{}, "echo")
	f.until(r.ended)
	rpc.SetNextID(c, 1)
	r, second := f.beginWith(c, rpc.CallOptions{}, "echo")
	if first == second || c.Cancel(first) {
		t.Error("Cancel reports that it has ended a call")
	}
	f.until(r.ended)
	if r.err != nil {
		t.Errorf("the later call ended with %v", r.err)
	}
}

// panicker is a Completion that panics.
type panicker struct{ result }

func (p *panicker) Complete(reply rpc.Payload, err error) {
	p.result.Complete(reply, err)
	panic("in Complete")
}

// A Completion that panics keeps no other cancelled call from ending.
func TestPanicAfterACancelKeepsNoOtherCallFromEnding(t *testing.T) {
	f, panics := newSurvivor(t)
	transport, _ := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	var first, second panicker
	for _, p := range []*panicker{&first, &second} {
		call, err := c.GoWith(p, rpc.CallOptions{}, nil)
		must(t, err)
		c.Cancel(call)
	}
	f.until(second.ended)
	if first.ends != 1 || second.ends != 1 || *panics == 0 || !errors.Is(second.err, rpc.ErrCanceled) {
		t.Errorf("the calls ended %d and %d times, the second with %v", first.ends, second.ends, second.err)
	}
}

// A call that is cancelled while the loop is being closed ends once.
func TestCancelWhileTheLoopIsClosed(t *testing.T) {
	f := newFixture(t)
	var clients [2]*rpc.Client
	var calls [2]rpc.CallID
	var ends [2]int
	cancelled := 0
	for i := range clients {
		clients[i] = f.connect(pipes("async"), rpc.Config{})
		var err error
		calls[i], err = clients[i].GoWith(funcCompletion(func(err error) {
			ends[i]++
			if clients[1-i].Cancel(calls[1-i]) {
				cancelled++
			}
		}), rpc.CallOptions{}, request("hold"))
		must(t, err)
	}
	must(t, f.Poll(0))
	must(t, f.Close())
	if ends != [2]int{1, 1} || cancelled != 1 {
		t.Errorf("the calls ended %v times, %d by a cancel", ends, cancelled)
	}
}

// funcCompletion is a Completion that wants the error.
type funcCompletion func(err error)

func (f funcCompletion) Complete(_ rpc.Payload, err error) { f(err) }
