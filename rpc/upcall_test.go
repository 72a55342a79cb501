package rpc_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

func TestChildCallsItsParent(t *testing.T) {
	for _, transport := range []string{"pipes", "stdio", "socketpair"} {
		for _, server := range []string{"sync", "async", "goroutines"} {
			t.Run(transport+"/"+server, func(t *testing.T) {
				f := newFixture(t)
				c, o := f.withOracle(peer{transport: transport, server: server}, rpc.Config{})
				reply, err := f.ask(c, "parent", "to be", "or not")
				if err != nil || !slices.Equal(reply, []string{"to be", "or not"}) || !slices.Equal(o.asked, []string{"to be"}) {
					t.Errorf("%q, %v; asked for %q", reply, err, o.asked)
				}
				f.works(c)
			})
		}
	}
}

// All make calls at once, of which the parent takes a few at a time.
func TestUpcallsKeepToWhatTheParentTakes(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c, o := f.withOracle(p, rpc.Config{MaxUpcalls: 3})
		var calls []*result
		for i := range 100 {
			calls = append(calls, f.begin(c, "parent", "hold", fmt.Sprint(i)))
		}
		atOnce := 3
		if p.server == "sync" {
			atOnce = 1
		}
		for c.InFlight() > 0 {
			f.until(func() bool { return len(o.held) == min(atOnce, c.InFlight()) })
			o.release()
			must(t, f.Poll(0))
		}
		for i, r := range calls {
			if r.err != nil || r.ends != 1 || r.reply[0] != fmt.Sprint(i) {
				t.Fatalf("call %d ended %d times with %q, %v", i, r.ends, r.reply, r.err)
			}
		}
		if len(o.asked) != 100 || o.most > atOnce {
			t.Errorf("%d calls of the child, %d at once", len(o.asked), o.most)
		}
	})
}

func TestParentThatTakesAnyNumberOfCallsIsUnderstood(t *testing.T) {
	f := newFixture(t)
	c, _ := f.withOracle(pipes("goroutines"), rpc.Config{MaxUpcalls: math.MaxInt})
	if reply, err := f.ask(c, "parent", "one"); err != nil || !slices.Equal(reply, []string{"one"}) {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestErrorsOfTheParentReachTheChildAndComeBack(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.maxFrame = 100_000
		c, _ := f.withOracle(p, rpc.Config{Sentinels: rpc.Sentinels{"not exist": fs.ErrNotExist}, MaxFrame: 100_000})
		_, err := f.ask(c, "parent", "not found")
		var remote *rpc.RemoteError
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &remote) ||
			remote.Message != "rpc: handler failed: looking in the parent: file does not exist" {
			t.Errorf("the sentinel came back as %v", err)
		}
		for _, test := range [][2]string{
			{"nothing", "rpc: handler failed: rpc: the handler failed with a nil error"},
			{"huge", "rpc: handler failed: rpc: payload exceeds the frame limit"},
		} {
			if _, err := f.ask(c, "parent", test[0]); !errors.As(err, &remote) || remote.Message != test[1] {
				t.Errorf("%s came back as %v", test[0], err)
			}
		}
		if _, err := f.ask(c, "parent often", "1", "99998"); !errors.As(err, &remote) || remote.Message != rpc.ErrTooLarge.Error() {
			t.Errorf("a request that is too large: %v", err)
		}
		f.works(c)
	})
}

func TestChildOfAParentThatTakesNoCallsIsTold(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		if p.wire != rpc.Evfork && p.transport != "pipes" {
			return
		}
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		r := f.begin(c, "parent", "anybody there?")
		f.until(func() bool { return r.ended() && (p.wire == rpc.Evfork || w.ended()) })
		if !strings.Contains(r.err.Error(), rpc.ErrNoCalls.Error()) {
			t.Errorf("the call ended with %v", r.err)
		}
	})
}

func TestNobodyButAHandlerCallsTheParent(t *testing.T) {
	if _, err := rpc.CallParent(t.Context()); !errors.Is(err, rpc.ErrNoCalls) {
		t.Errorf("CallParent returned %v", err)
	}
}

// Parent, child, parent, child: the innermost is answered first.
func TestCallsNest(t *testing.T) {
	for _, server := range []string{"async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			c, o := f.withOracle(pipes(server), rpc.Config{})
			reply, err := f.ask(c, "parent", "child", "parent", "child", "echo", "deep")
			if err != nil || !slices.Equal(reply, []string{"deep"}) || len(o.asked) != 2 {
				t.Errorf("%q, %v; asked %q", reply, err, o.asked)
			}
		})
	}
	// A child with one hand answers the outer call first.
	t.Run("sync", func(t *testing.T) {
		f := newFixture(t)
		c, o := f.withOracle(pipes("sync"), rpc.Config{})
		reply, err := f.ask(c, "parent", "child later", "parent", "again")
		f.until(func() bool { return c.InFlight() == 0 })
		if err != nil || !slices.Equal(reply, []string{"first"}) || !slices.Equal(o.asked, []string{"child later", "again"}) ||
			!slices.Equal(o.errs, []error{nil}) {
			t.Errorf("%q, %v; asked %q, %v", reply, err, o.asked, o.errs)
		}
	})
}

// Both sides write as much as they can, through pipes of a page.
func TestCallsBothWaysAtFullThrottle(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		o := &oracle{t: t}
		proc := f.spawn(p, child.Config{PipeSize: 4096})
		o.client = f.client(proc, p, o.config(rpc.Config{MaxUpcalls: 5}))
		made, ended := 0, 0
		var more func()
		more = func() {
			for ; made < 60; made++ {
				err := o.client.Go(func(reply rpc.Payload, err error) {
					ended++
					if values, _ := reply.Strings(); err != nil || values[0] != "right" {
						t.Errorf("the reply is %q, %v", values, err)
					}
				}, "parent often", "10", "9000", strings.Repeat("x", 20_000))
				if err == rpc.ErrFull {
					must(t, o.client.WaitReady(more))
					return
				}
				must(t, err)
			}
		}
		more()
		f.until(func() bool { return ended == 60 })
		if len(o.asked) != 600 {
			t.Errorf("%d calls of the child", len(o.asked))
		}
		f.works(o.client)
	})
}

// The answer comes behind so many calls that the child has no room for them: it reads on,
// and has the parent hold others back.
func TestAnswersComeFromBehindAnyNumberOfCalls(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.limit, p.concurrent = 1, 1
		c, o := f.withOracle(p, rpc.Config{})
		first := f.begin(c, "parent", "hold", "it")
		f.until(func() bool { return len(o.held) == 1 })
		ended, made, refused := 0, 0, 0
		request := rpc.Strings("echo", strings.Repeat("x", 50_000))
		for refused < 3 { // of 64 MiB that would fit, most are not taken
			err := c.GoBytes(func(reply rpc.Payload, err error) {
				ended++
				if err != nil || len(reply) != 50_003 {
					t.Errorf("the reply has %d bytes, %v", len(reply), err)
				}
			}, request)
			switch err {
			case nil:
				made++
			case rpc.ErrFull:
				refused++
			default:
				t.Fatal(err)
			}
			f.until(func() bool { return f.Stats().Buffered == 0 })
		}
		if made < 20 || made > 100 {
			t.Errorf("%d calls were made before the child held them back", made)
		}
		ready := false
		must(t, c.WaitReady(func() { ready = true }))
		o.release()
		f.until(func() bool { return c.InFlight() == 0 && ready })
		if first.err != nil || ended != made {
			t.Errorf("the first call ended with %v, %d of %d others", first.err, ended, made)
		}
		if _, err := f.ask(c, "parent", "again"); err != nil {
			t.Error(err)
		}
	})
}

// The parent's queue is full: the answer is sent when there is room, before other calls.
func TestAnswersFindRoomInAFullBuffer(t *testing.T) {
	f := newFixture(t)
	o := &oracle{t: t}
	proc := f.spawn(pipes("goroutines"), child.Config{PipeSize: 4096})
	o.client = f.client(proc, peer{}, o.config(rpc.Config{MaxBuffered: 100_000, MaxUpcalls: 3}))
	large := strings.Repeat("l", 90_000)
	first := f.begin(o.client, "parent", "hold", large)
	second := f.begin(o.client, "parent", "hold", "small")
	tooLarge := f.begin(o.client, "parent", "hold", "never")
	f.until(func() bool { return len(o.held) == 3 })
	for i := range o.held {
		if o.held[i].reply[0] == "never" {
			o.held[i].reply[0] = large + large
		}
	}
	stop(t, proc)
	must(t, f.Poll(0))
	for o.client.GoBytes(nil, append(rpc.Strings("echo"), rpc.Strings(strings.Repeat("x", 20_000))...)) == nil {
	}
	o.release()
	if err := o.client.Go(nil, "echo"); err != rpc.ErrFull {
		t.Errorf("a call that would take the room of an answer: %v", err)
	}
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(func() bool { return o.client.InFlight() == 0 })
	if first.err != nil || first.reply[0] != large || second.err != nil || second.reply[0] != "small" {
		t.Errorf("the answers are %d values, %v and %q, %v", len(first.reply), first.err, second.reply, second.err)
	}
	if tooLarge.err == nil || !strings.Contains(tooLarge.err.Error(), rpc.ErrTooLarge.Error()) {
		t.Errorf("the answer that never fits ended with %v", tooLarge.err)
	}
	if _, err := f.ask(o.client, "parent", "again"); err != nil { // there is room for another
		t.Error(err)
	}
}
