package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

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
		if _, ok := errors.AsType[*child.ExitError](done.Reply("late")); !ok {
			t.Error("the answer does not say why it came too late")
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

// A panic of what answers in the parent is one of its loop's callbacks: the child is not
// told, and with OnPanic the connection ends, as that of any other callback of a stream.
func TestPanicOfOnCallIsTheLoops(t *testing.T) {
	leaktest.Check(t)
	var panics []any
	loop, err := reactor.New(reactor.Config{OnPanic: func(p *reactor.Panic) { panics = append(panics, p.Value) }})
	must(t, err)
	f := &fixture{Loop: loop, t: t}
	t.Cleanup(func() {
		must(t, errors.Join(loop.Verify(), loop.Close()))
		f.servers.Wait()
	})
	var w watched
	config := w.config(rpc.Config{OnCall: func(rpc.Payload, rpc.Done) { panic("in the parent") }})
	c := f.connect(peer{transport: "socketpair", server: "goroutines"}, config)
	r := f.begin(c, "parent", "anything")
	f.until(w.ended)
	if len(panics) != 1 || panics[0] != "in the parent" || !isLost(r.err) || w.failed != 1 {
		t.Errorf("the loop was told %v, the call ended with %v, the client %d times", panics, r.err, w.failed)
	}
}

// The function that is called back in a child is not the handler of the call that came
// before the answer: its panic does not end that.
func TestPanicInTheChildsCallbackIsNoCallsEnd(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	panicked := make(chan any, 1)
	f.servers.Go(func() {
		defer func() { panicked <- recover() }()
		loop, err := reactor.New(reactor.Config{})
		must(t, err)
		defer closeLoop(loop)
		s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
		must(t, err)
		t.Error(s.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
			if len(request) == 0 { // begun, and not answered
				return
			}
			if err := s.GoParent(func(rpc.Payload, error) { panic("in the child") }, "ask"); err != nil {
				t.Error(err)
			}
		}))
	})
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(helloTaking("1") + frame(1, "\x03ask"))
	must(t, err)
	asked := ourHello + frame(upcallKind|1, "\x03ask")
	if got := readBytes(file, len(asked)); got != asked {
		t.Fatalf("the server says %q", got)
	}
	_, err = file.WriteString(frame(2, "") + frame(upcallKind|1, ""))
	must(t, err)
	if got := <-panicked; got != "in the child" {
		t.Errorf("the server panicked with %v", got)
	}
	if rest := readToEnd(file); rest != "" {
		t.Errorf("it said %q", rest)
	}
}

// What had come with an answer, behind it, was lost when the function that was called back with that panicked: an
// answer, and a call.
func TestPanicInTheChildsCallbackLeavesWhatCameWithItAlone(t *testing.T) {
	leaktest.Check(t)
	var panics []any
	loop, err := reactor.New(reactor.Config{OnPanic: func(p *reactor.Panic) { panics = append(panics, p.Value) }})
	must(t, err)
	defer closeLoop(loop)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	served := make(chan error, 1)
	var seen []string
	go func() {
		served <- s.ServeAsync(loop, func(request rpc.Payload, done rpc.Done) {
			if len(request) > 0 {
				seen = append(seen, string(request))
				done.ReplyBytes(request)
				return
			}
			for range 2 {
				if err := s.GoParent(func(reply rpc.Payload, err error) {
					seen = append(seen, fmt.Sprint(string(reply), err))
					if string(reply) == "one" {
						panic("in the child")
					}
				}, "ask"); err != nil {
					t.Error(err)
				}
			}
		})
	}()
	_, err = file.WriteString(helloTaking("2") + frame(1, ""))
	must(t, err)
	asked := ourHello + frame(upcallKind|1, "\x03ask") + frame(upcallKind|2, "\x03ask")
	if got := readBytes(file, len(asked)); got != asked {
		t.Fatalf("the server says %q", got)
	}
	_, err = file.WriteString(frame(upcallKind|1, "one") + frame(upcallKind|2, "two") + frame(2, "call"))
	must(t, err)
	rest := readToEnd(file)
	if err := <-served; err == nil || !strings.Contains(err.Error(), "in the child") {
		t.Errorf("the server returned %v", err)
	}
	if want := []string{"one<nil>", "two<nil>", "call"}; !slices.Equal(seen, want) || len(panics) != 1 || rest != frame(2, "call") {
		t.Errorf("the child saw %q, the loop was told %v, the parent %q", seen, panics, rest)
	}
}

// Answers for which there was no room in the parent's buffer when the child's input was closed were lost.
func TestShutdownWritesTheAnswersThatWaitForRoom(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	const calls, size = 20, 90_000
	var w watched
	answered := 0
	c := f.client(transport, peer{}, w.config(rpc.Config{MaxBuffered: size + 1000, OnCall: func(_ rpc.Payload, done rpc.Done) {
		must(t, done.ReplyBytes(make([]byte, size)))
		answered++
	}}))
	asked := hello
	for id := range uint32(calls) {
		asked += frame(upcallKind|(id+1), "")
	}
	_, err := file.WriteString(asked)
	must(t, err)
	f.until(func() bool { return answered == calls })
	c.Shutdown()
	read := make(chan string, 1)
	fd := int(file.Fd())
	go func() {
		all := readToEnd(file)
		unix.Shutdown(fd, unix.SHUT_WR) // an error would leave the client waiting
		read <- all
	}()
	f.until(w.ended)
	frames, pending, err := rpc.Decode(1<<20, []byte(<-read))
	must(t, err)
	if len(frames) != 1+calls || pending > 0 || w.destroyed != 1 {
		t.Errorf("the child reads %d frames, and %d bytes of another; OnError got %v", len(frames), pending, w.err)
	}
}
