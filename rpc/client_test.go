package rpc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

func TestRepliesAreThoseOfTheirCalls(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		calls := make([]*result, 1000)
		for i := range calls {
			calls[i] = f.begin(c, "echo", fmt.Sprint(i), "")
		}
		if c.InFlight() != len(calls) {
			t.Errorf("%d calls are in flight", c.InFlight())
		}
		f.until(func() bool { return c.InFlight() == 0 })
		for i, r := range calls {
			if r.ends != 1 || r.err != nil || !slices.Equal(r.reply, []string{fmt.Sprint(i), ""}) {
				t.Fatalf("call %d ended %d times: %q, %v", i, r.ends, r.reply, r.err)
			}
		}
	})
}

func TestPayloadsOfAnySizeComeBackWhole(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.mirror = true
		c := f.connect(p, rpc.Config{})
		for _, size := range []int{0, 1, 127, 128, 4095, 4096, 65528, 65529, 65536, 1<<20 + 1} {
			payload := []byte(strings.Repeat("0123456789", size/10+1)[:size])
			var reply []byte
			ends := 0
			must(t, c.GoBytes(func(p rpc.Payload, err error) {
				ends++
				reply = append(reply, p...)
				must(t, err)
			}, payload))
			f.until(func() bool { return ends > 0 })
			if string(reply) != string(payload) {
				t.Errorf("%d bytes came back as %d, or changed", size, len(reply))
			}
		}
	})
}

// Many large frames in both directions at once fill every pipe and buffer on
// the way, and nobody waits for the other for ever.
func TestLargeFramesBothWaysDoNotDeadlock(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.mirror = true
		c := f.connect(p, rpc.Config{})
		want := strings.Repeat("x", 300_000)
		var calls []*result
		for range 12 {
			calls = append(calls, f.begin(c, want))
		}
		f.until(func() bool { return c.InFlight() == 0 })
		for i, r := range calls {
			if r.err != nil || len(r.reply) != 1 || r.reply[0] != want {
				t.Fatalf("call %d: %v", i, r.err)
			}
		}
	})
}

func TestRepliesComeInTheOrderOfTheirDone(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		if p.server != "async" || p.wire == rpc.AnyEventSync {
			t.Skip("does not apply: only the async server, on a wire with ids, decides on the order of its replies")
		}
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		var order []string
		note := func(p rpc.Payload, err error) {
			must(t, err)
			values, _ := p.Strings()
			order = append(order, values...)
		}
		for _, name := range []string{"a", "b", "c"} {
			must(t, c.Go(note, "hold", name))
		}
		must(t, c.Go(note, "release"))
		must(t, c.Go(note, "echo", "later"))
		f.until(func() bool { return c.InFlight() == 0 })
		if got := strings.Join(order, " "); got != "c b a released later" {
			t.Errorf("the order of the replies is %s", got)
		}
	})
}

func TestCallsOvertakeOneAnother(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		if p.server == "sync" || p.wire == rpc.AnyEventSync {
			t.Skip("does not apply: the sync server, and on the sync wire every server, answers in order")
		}
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		slow := f.begin(c, "hold", "slow")
		for range 10 {
			f.works(c)
		}
		if slow.ended() {
			t.Error("the call that is held has ended")
		}
		f.begin(c, "release")
		f.until(slow.ended)
		if slow.err != nil || slow.reply[0] != "slow" {
			t.Errorf("the slow call ended with %q, %v", slow.reply, slow.err)
		}
	})
}

func TestEventsKeepTheirPlaceAmongTheReplies(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		p.limit = 1 // so that goroutines have an order, too
		c := f.connect(p, w.config(rpc.Config{}))
		var want []string
		for i := range 200 {
			n := fmt.Sprint(i)
			note := func(rpc.Payload, error) { w.order = append(w.order, "reply "+n) }
			if i%3 == 0 {
				must(t, c.Go(note, "event", "event "+n))
				want = append(want, "event "+n)
			} else {
				must(t, c.Go(note, "echo"))
			}
			want = append(want, "reply "+n)
		}
		f.until(func() bool { return c.InFlight() == 0 })
		if !slices.Equal(w.order, want) {
			t.Errorf("the order is %q", w.order)
		}
	})
}

// An event from a handler that runs beside others still comes before its reply.
func TestEventComesBeforeTheReplyOfItsCall(t *testing.T) {
	f := newFixture(t)
	seen := make(map[string]bool)
	c := f.connect(pipes("goroutines"), rpc.Config{OnEvent: func(event rpc.Payload) {
		values, _ := event.Strings()
		seen[values[0]] = true
	}})
	for i := range 200 {
		n := fmt.Sprint(i)
		must(t, c.Go(func(rpc.Payload, error) {
			if !seen[n] {
				t.Errorf("reply %s came before its event", n)
			}
		}, "event", n))
	}
	f.until(func() bool { return c.InFlight() == 0 })
}

func TestHandlerErrorIsARemoteError(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		_, err := f.ask(c, "fail", "no such file")
		var remote *rpc.RemoteError
		if !errors.As(err, &remote) || *remote != (rpc.RemoteError{Message: "no such file", Kind: rpc.KindError}) {
			t.Errorf("the call ended with %#v", err)
		}
		if err.Error() != "rpc: handler failed: no such file" {
			t.Errorf("the error reads %q", err)
		}
		f.works(c)
	})
}

func TestHandlerPanicIsARemoteErrorWithItsStack(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		before, after := f.begin(c, "echo", "before"), (*result)(nil)
		r := f.begin(c, "panic", "mind the gap")
		after = f.begin(c, "echo", "after")
		f.until(func() bool { return c.InFlight() == 0 })
		var remote *rpc.RemoteError
		if !errors.As(r.err, &remote) || remote.Kind != rpc.KindPanic || remote.Message != "mind the gap" {
			t.Fatalf("the call ended with %#v", r.err)
		}
		if !strings.Contains(remote.Stack, "(*service).call") {
			t.Errorf("the stack is %s", remote.Stack)
		}
		if before.err != nil || after.err != nil {
			t.Errorf("the calls around it ended with %v and %v", before.err, after.err)
		}
	})
}

func TestSecondDoneIsRefused(t *testing.T) {
	f := newFixture(t)
	var w watched
	c := f.connect(pipes("async"), w.config(rpc.Config{}))
	reply, err := f.ask(c, "twice")
	must(t, err)
	f.until(func() bool { return len(w.events) == 2 })
	if reply[0] != "once" || !slices.Equal(w.events, []string{"<nil>", "true"}) {
		t.Errorf("replied %q; first error, and second is ErrDone: %q", reply, w.events)
	}
	f.works(c)
}

// A call that is made by the callback of another goes the same way.
func TestCallsFromCallbacks(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		n := 0
		var next func(rpc.Payload, error)
		next = func(_ rpc.Payload, err error) {
			must(t, err)
			if n++; n < 100 {
				must(t, c.Go(next, "echo"))
			}
		}
		must(t, c.Go(next, "echo"))
		f.until(func() bool { return n == 100 })
	})
}

func TestSeveralClientsShareALoop(t *testing.T) {
	f := newFixture(t)
	var clients []*rpc.Client
	var calls []*result
	for _, server := range []string{"sync", "async", "goroutines"} {
		clients = append(clients, f.connect(pipes(server), rpc.Config{}))
	}
	for i := range 300 {
		calls = append(calls, f.begin(clients[i%3], "echo", fmt.Sprint(i)))
	}
	f.until(func() bool { return clients[0].InFlight()+clients[1].InFlight()+clients[2].InFlight() == 0 })
	for i, r := range calls {
		if r.err != nil || r.reply[0] != fmt.Sprint(i) {
			t.Errorf("call %d: %q, %v", i, r.reply, r.err)
		}
	}
}

func TestTransportIsOpenedOnce(t *testing.T) {
	for _, transport := range []string{"pipes", "socketpair"} {
		t.Run(transport, func(t *testing.T) {
			f := newFixture(t)
			tr := f.start(peer{transport: transport, server: "sync"})
			c := f.client(tr, peer{}, rpc.Config{})
			if _, err := rpc.NewClient(tr, rpc.Config{}); err == nil {
				t.Error("a second client was made")
			}
			f.works(c)
		})
	}
}
