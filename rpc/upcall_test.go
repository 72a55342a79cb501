package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// oracle answers the calls of children, in the parent.
type oracle struct {
	t       *testing.T
	client  *rpc.Client
	asked   []string // the first values of all calls
	held    []held
	most    int // calls that were held at once
	errs    []error
	onAsked func()
}

// config adds it to a configuration.
func (o *oracle) config(c rpc.Config) rpc.Config {
	c.OnCall = o.answer
	return c
}

func (o *oracle) answer(request rpc.Payload, done rpc.Done) {
	args, err := request.Strings()
	if err != nil || len(args) == 0 {
		done.Fail(fmt.Errorf("unreadable: %q", request))
		return
	}
	o.asked = append(o.asked, args[0])
	switch args[0] {
	case "hold":
		o.held = append(o.held, held{done, args[1:]})
		o.most = max(o.most, len(o.held))
		done.OnCancel(func(err error) { o.errs = append(o.errs, err) })
	case "not found":
		done.Fail(fmt.Errorf("looking in the parent: %w", fs.ErrNotExist))
	case "nothing":
		done.Fail(nil)
	case "huge":
		done.ReplyBytes(make([]byte, 1<<20))
	case "child": // calls it in turn
		err := o.client.Go(func(reply rpc.Payload, err error) {
			if err != nil {
				done.Fail(err)
				return
			}
			done.ReplyBytes(reply)
		}, args[1:]...)
		if err != nil {
			done.Fail(err)
		}
	case "child later":
		done.Reply("first")
		must(o.t, o.client.Go(func(_ rpc.Payload, err error) { o.errs = append(o.errs, err) }, args[1:]...))
	default:
		done.Reply(args...)
	}
	if o.onAsked != nil {
		o.onAsked()
	}
}

// release answers what is held.
func (o *oracle) release() {
	for _, h := range o.held {
		must(o.t, h.done.Reply(h.reply...))
		if err := h.done.Reply(); err != rpc.ErrDone {
			o.t.Errorf("a second answer: %v", err)
		}
	}
	o.held = nil
}

// withOracle connects a peer whose calls are answered.
func (f *fixture) withOracle(p peer, config rpc.Config) (*rpc.Client, *oracle) {
	f.t.Helper()
	o := &oracle{t: f.t}
	o.client = f.connect(p, o.config(config))
	return o.client, o
}

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
	o.client = f.client(proc, peer{}, o.config(rpc.Config{MaxBuffered: 100_000}))
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
	f.works(o.client)
}

// The time is the child's business; the parent hears that nobody waits.
func TestUpcallsEndAtTheirDeadline(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c, o := f.withOracle(p, rpc.Config{MaxUpcalls: 1})
		_, err := f.ask(c, "parent until", "1", "hold")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call ended with %v", err)
		}
		f.until(func() bool { return len(o.errs) == len(o.held) })
		if len(o.held) > 1 || len(o.errs) == 1 && o.errs[0] != rpc.ErrCanceled {
			t.Errorf("%d calls, %v", len(o.held), o.errs)
		}
		o.release() // the late answer makes room
		if _, err := f.ask(c, "parent", "again"); err != nil {
			t.Error(err)
		}
		_, err = f.ask(c, "parent until", "600000", "in time")
		if err != nil {
			t.Error(err)
		}
	})
}

// A cancel goes through: the handler's ctx ends, and with it its call to the parent.
func TestCancelReachesUpcalls(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c, o := f.withOracle(p, rpc.Config{})
		function := "parent"
		if p.server == "async" {
			function = "parent cancel"
		}
		r, id := f.beginWith(c, rpc.CallOptions{}, function, "hold")
		f.until(func() bool { return len(o.held) == 1 })
		ctx := o.held[0].done.Context()
		c.Cancel(id)
		f.until(func() bool { return len(o.errs) == 1 && c.InFlight() == 0 })
		if r.ends != 1 || o.errs[0] != rpc.ErrCanceled || ctx.Err() != context.Canceled {
			t.Errorf("%d ends, %v, %v", r.ends, o.errs, ctx.Err())
		}
		o.release()
		f.works(c)
		if len(o.errs) != 1 {
			t.Errorf("told %d times", len(o.errs))
		}
	})
}

func TestUpcallsOfAChildThatDies(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		o := &oracle{t: t}
		proc := f.spawn(p, child.Config{})
		o.client = f.client(proc, p, o.config(w.config(rpc.Config{})))
		r := f.begin(o.client, "parent", "hold")
		f.until(func() bool { return len(o.held) == 1 })
		done := o.held[0].done
		ctx := done.Context()
		proc.Kill()
		f.until(w.ended)
		if !isLost(r.err) || len(o.errs) != 1 || !isLost(o.errs[0]) || ctx.Err() == nil {
			t.Errorf("the call ended with %v, the handler was told %v, its ctx %v", r.err, o.errs, ctx.Err())
		}
		if err := done.Reply("late"); !isLost(err) {
			t.Errorf("the answer returns %v", err)
		}
		if err := done.Fail(nil); err != rpc.ErrDone {
			t.Errorf("the second answer returns %v", err)
		}
	})
}

// What was asked of the child is finished, its questions included.
func TestUpcallsAreAnsweredDuringAShutdown(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c, o := f.withOracle(p, w.config(rpc.Config{}))
		first, second := f.begin(c, "parent", "hold", "one"), f.begin(c, "parent", "two")
		f.until(func() bool { return len(o.held) == 1 })
		c.Shutdown()
		must(t, f.Poll(0))
		o.release()
		f.until(w.ended)
		if first.err != nil || second.err != nil || w.destroyed != 1 {
			t.Errorf("%v, %v; OnError got %v", first.err, second.err, w.err)
		}
	})
}

func TestUpcallsNobodyAsksForEndWithTheShutdown(t *testing.T) {
	for _, server := range []string{"async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			ended, open := make(chan error, 2), make(chan error, 1)
			f.servers.Go(func() { ended <- restless(server, sameFD(theirs), open) })
			var w watched
			o := &oracle{t: t}
			o.client = f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, o.config(w.config(rpc.Config{})))
			f.until(func() bool { return len(o.held) == 1 })
			o.client.Shutdown()
			f.until(w.ended)
			err := <-open
			if !errors.Is(err, rpc.ErrShutdown) || !isLost(err) || w.destroyed != 1 {
				t.Errorf("the call ended with %v; OnError got %v", err, w.err)
			}
			if err := <-ended; err != nil {
				t.Errorf("the server returned %v", err)
			}
			if err := o.held[0].done.Reply(); err == nil {
				t.Error("the answer has gone somewhere")
			}
		})
	}
}

// restless is a server that calls its parent of its own accord, as soon as it can, and is
// told how that ends.
func restless(server string, fds sameFD, open chan error) error {
	if server == "goroutines" {
		defer unix.Close(int(fds))
		s, err := rpc.NewServer(fds, rpc.ServerConfig{})
		if err != nil {
			return err
		}
		go func() {
			_, err := rpc.CallParent(s.Context(context.Background()), "hold")
			open <- err
		}()
		return s.ServeGoroutines(nil, 0)
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	var s *rpc.Server
	call := func() { err = s.GoParent(func(_ rpc.Payload, err error) { open <- err }, "hold") }
	if s, err = rpc.NewServer(fds, rpc.ServerConfig{OnDrain: func() { call() }}); err != nil {
		return err
	}
	posted := loop.Post(func() {
		if call(); err != nil && err != rpc.ErrFull {
			open <- err
		}
	})
	return errors.Join(posted, s.ServeAsync(loop, nil))
}
