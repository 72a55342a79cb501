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

// perl starts the worker in testdata/worker.pl: a program that shares no line of
// code with this module.
func (f *fixture) perl(config rpc.Config) *rpc.Client {
	f.t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		f.t.Skip("there is no perl here")
	}
	proc, err := child.Start(f.Loop, child.Config{Path: "perl", Args: []string{"testdata/worker.pl"}, Transport: child.Stdio})
	must(f.t, err)
	return f.client(proc, peer{wire: rpc.AnyEventAsync}, config)
}

func TestPerlAnswers(t *testing.T) {
	f := newFixture(t)
	c := f.perl(rpc.Config{})
	var calls []*result
	for i := range 1000 {
		calls = append(calls, f.begin(c, "add", fmt.Sprint(i), "1000"))
	}
	f.until(func() bool { return c.InFlight() == 0 })
	for i, r := range calls {
		if r.err != nil || !slices.Equal(r.reply, []string{fmt.Sprint(i + 1000)}) {
			t.Fatalf("%d + 1000 is %q, %v", i, r.reply, r.err)
		}
	}
}

func TestPerlGetsEveryByteAndLength(t *testing.T) {
	f := newFixture(t)
	c := f.perl(rpc.Config{})
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	values := []string{"", "\n", all.String(), strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 1<<20)}
	reply, err := f.ask(c, append([]string{"echo"}, values...)...)
	if err != nil || !slices.Equal(reply, values) {
		t.Errorf("the values changed: %v", err)
	}
	reply, err = f.ask(c, "echo")
	if err != nil || len(reply) != 0 {
		t.Errorf("an empty list became %q, %v", reply, err)
	}
}

func TestPerlSendsEventsAndRepliesInItsOrder(t *testing.T) {
	f := newFixture(t)
	var order []string
	note := func(p rpc.Payload, err error) {
		must(t, err)
		values, _ := p.Strings()
		order = append(order, values...)
	}
	c := f.perl(rpc.Config{OnEvent: func(event rpc.Payload) { note(event, nil) }})
	must(t, c.Go(note, "hold", "first"))
	must(t, c.Go(note, "event", "something happened"))
	must(t, c.Go(note, "hold", "second"))
	must(t, c.Go(note, "release"))
	f.until(func() bool { return c.InFlight() == 0 })
	if got := strings.Join(order, ", "); got != "something happened, sent, second, first, released" {
		t.Errorf("the order is %s", got)
	}
}

func TestPerlThatDiesIsALoss(t *testing.T) {
	f := newFixture(t)
	_, err := f.ask(f.perl(rpc.Config{}), "fail", "the well has run dry")
	var lost *rpc.LostError
	var exit *child.ExitError
	if !errors.As(err, &lost) || !lost.Started || !errors.As(err, &exit) || exit.State.Code <= 0 ||
		string(exit.State.Stderr) != "the well has run dry\n" {
		t.Errorf("the call ended with %v", err)
	}
}

func TestPerlEndsWhenItIsDone(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.perl(w.config(rpc.Config{}))
	r := f.begin(c, "add", "1", "2")
	c.Shutdown()
	must(t, f.Run(t.Context()))
	if r.err != nil || w.destroyed != 1 || w.failed != 0 {
		t.Errorf("the call: %v; OnDestroy %d times, OnError %d times with %v", r.err, w.destroyed, w.failed, w.err)
	}
}
