package rpc_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// perl starts the worker in examples/perl: a program that shares no line of
// code with this module.
func (f *fixture) perl(wire rpc.Wire, config rpc.Config) *rpc.Client {
	f.t.Helper()
	return f.perlScript("../examples/perl/worker.pl", wire, config)
}

// perlScript starts a script.
func (f *fixture) perlScript(script string, wire rpc.Wire, config rpc.Config) *rpc.Client {
	f.t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		f.t.Skip("there is no perl here")
	}
	proc, err := child.Start(f.Loop, child.Config{
		Path:      "perl",
		Args:      []string{script, strings.TrimPrefix(wire.String(), "anyevent-")},
		Transport: child.Stdio,

		StartTimeout: guard,
		Ladder:       child.Ladder{CloseWait: guard, TermWait: guard},
	})
	must(f.t, err)
	return f.client(proc, peer{wire: wire}, config)
}

// eachAnyEventWire runs a test on both wires of AnyEvent::Fork::RPC.
func eachAnyEventWire(t *testing.T, test func(t *testing.T, wire rpc.Wire)) {
	for _, wire := range []rpc.Wire{rpc.AnyEventAsync, rpc.AnyEventSync} {
		t.Run(wire.String(), func(t *testing.T) { test(t, wire) })
	}
}

func TestPerlAnswers(t *testing.T) {
	eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
		f := newFixture(t)
		c := f.perl(wire, rpc.Config{})
		var calls []*result
		for i := range 1000 {
			calls = append(calls, f.begin(c, "add", fmt.Sprint(i), "1000"))
		}
		product := f.begin(c, "mul", "3", "2")
		f.until(func() bool { return c.InFlight() == 0 })
		for i, r := range calls {
			if r.err != nil || !slices.Equal(r.reply, []string{fmt.Sprint(i + 1000)}) {
				t.Fatalf("%d + 1000 is %q, %v", i, r.reply, r.err)
			}
		}
		if product.err != nil || !slices.Equal(product.reply, []string{"6"}) {
			t.Fatalf("3 * 2 is %q, %v", product.reply, product.err)
		}
	})
}

func TestPerlGetsEveryByteAndLength(t *testing.T) {
	eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
		f := newFixture(t)
		c := f.perl(wire, rpc.Config{})
		values := everyByteAndLength()
		reply, err := f.ask(c, append([]string{"echo"}, values...)...)
		if err != nil || !slices.Equal(reply, values) {
			t.Errorf("the values changed: %v", err)
		}
		reply, err = f.ask(c, "echo")
		if err != nil || len(reply) != 0 {
			t.Errorf("an empty list became %q, %v", reply, err)
		}
	})
}

// everyByteAndLength is values that a careless decoder stumbles over.
func everyByteAndLength() []string {
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	return []string{"", "\n", all.String(), strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 1<<20)}
}

func TestPerlSendsEventsAndRepliesInItsOrder(t *testing.T) {
	for wire, want := range map[rpc.Wire]string{
		rpc.AnyEventAsync: "something happened, sent, second, first, released",
		rpc.AnyEventSync:  "something happened, sent, first, another thing, sent, second",
	} {
		t.Run(wire.String(), func(t *testing.T) {
			f := newFixture(t)
			var order []string
			note := func(p rpc.Payload, err error) {
				must(t, err)
				values, _ := p.Strings()
				order = append(order, values...)
			}
			c := f.perl(wire, rpc.Config{OnEvent: func(event rpc.Payload) { note(event, nil) }})
			calls := [][]string{{"hold", "first"}, {"event", "something happened"}, {"hold", "second"}, {"release"}}
			if wire == rpc.AnyEventSync { // a synchronous worker holds nothing
				calls = [][]string{{"event", "something happened"}, {"echo", "first"}, {"event", "another thing"}, {"echo", "second"}}
			}
			for _, args := range calls {
				must(t, c.Go(note, args...))
			}
			f.until(func() bool { return c.InFlight() == 0 })
			if got := strings.Join(order, ", "); got != want {
				t.Errorf("the order is %s", got)
			}
		})
	}
}

func TestPerlThatDiesIsALoss(t *testing.T) {
	eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
		f := newFixture(t)
		_, err := f.ask(f.perl(wire, rpc.Config{}), "fail", "the well has run dry")
		var lost *rpc.LostError
		var exit *child.ExitError
		if !errors.As(err, &lost) || !lost.Started || !errors.As(err, &exit) || exit.State.Code <= 0 ||
			string(exit.State.Stderr) != "the well has run dry\n" {
			t.Errorf("the call ended with %v", err)
		}
	})
}

func TestPerlEndsWhenItIsDone(t *testing.T) {
	eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
		f := newFixture(t)
		var w watched
		c := f.perl(wire, w.config(rpc.Config{}))
		r := f.begin(c, "add", "1", "2")
		c.Shutdown()
		must(t, f.Run(t.Context()))
		if r.err != nil || w.destroyed != 1 || w.failed != 0 {
			t.Errorf("the call: %v; OnDestroy %d times, OnError %d times with %v", r.err, w.destroyed, w.failed, w.err)
		}
	})
}

// The real thing, where it is installed.
func TestAnyEventBackendsAnswer(t *testing.T) {
	if exec.Command("perl", "-MAnyEvent::Fork::RPC", "-e1").Run() != nil {
		t.Skip("there is no Perl module AnyEvent::Fork::RPC here")
	}
	eachAnyEventWire(t, func(t *testing.T, wire rpc.Wire) {
		f := newFixture(t)
		var w watched
		c := f.perlScript("testdata/backend.pl", wire, w.config(rpc.Config{}))
		var calls []*result
		for i := range 1000 {
			calls = append(calls, f.begin(c, "add", fmt.Sprint(i), "1000"))
		}
		values := everyByteAndLength()
		echo, event := f.begin(c, append([]string{"echo"}, values...)...), f.begin(c, "event", "something happened")
		c.Shutdown()
		must(t, f.Run(t.Context()))
		for i, r := range calls {
			if r.err != nil || !slices.Equal(r.reply, []string{fmt.Sprint(i + 1000)}) {
				t.Fatalf("%d + 1000 is %q, %v", i, r.reply, r.err)
			}
		}
		if echo.err != nil || !slices.Equal(echo.reply, values) {
			t.Errorf("the values changed: %v", echo.err)
		}
		if event.err != nil || !slices.Equal(event.reply, []string{"sent"}) || !slices.Equal(w.events, []string{"something happened"}) {
			t.Errorf("the event is %q, the reply %q, %v", w.events, event.reply, event.err)
		}
		if w.destroyed != 1 || w.failed != 0 {
			t.Errorf("OnDestroy %d times, OnError %d times with %v", w.destroyed, w.failed, w.err)
		}
	})
}
