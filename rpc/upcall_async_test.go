package rpc_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// asker is an async server on the fixture's loop, in whose handlers the test makes calls to the parent, which it is itself.
type asker struct {
	*rpc.Server
	in  *os.File    // of the server, by which the test writes
	out chan string // all that the server has said, when it has ended
}

// serveAsker has the server read what is said, and no EOF before the test calls endInput. All that has come of a pipe may be
// read in one iteration, the EOF included.
func serveAsker(f *fixture, config rpc.ServerConfig, said string, handler func(a *asker, request rpc.Payload, done rpc.Done)) *asker {
	f.t.Helper()
	var in, out [2]int
	must(f.t, unix.Pipe(in[:]))
	must(f.t, unix.Pipe(out[:]))
	a := &asker{in: fileOf(in[1]), out: make(chan string, 1)}
	written := make(chan error, 1)
	go func() {
		_, err := a.in.WriteString(said)
		written <- err
	}()
	go func() {
		file := fileOf(out[0])
		defer file.Close()
		a.out <- readToEnd(file)
	}()
	var err error
	a.Server, err = rpc.NewServer(twoFDs{in[0], out[1]}, config)
	must(f.t, err)
	must(f.t, a.ServeAsync(f.Loop, func(request rpc.Payload, done rpc.Done) { handler(a, request, done) }))
	must(f.t, <-written)
	a.out <- <-a.out // the goroutine has ended
	return a
}

func (a *asker) endInput(t *testing.T) { must(t, a.in.Close()) }

// upcallEnd does something when the call has ended.
type upcallEnd struct {
	result
	then func()
}

func (e *upcallEnd) Complete(reply rpc.Payload, err error) {
	e.result.Complete(reply, err)
	if e.then != nil {
		e.then()
	}
}

// An upcall that is cancelled ends, and with it a server whose input has ended meanwhile.
func TestServerEndsWithAnUpcallThatWasCancelled(t *testing.T) {
	f := newFixture(t)
	r := &result{}
	serveAsker(f, rpc.ServerConfig{}, helloTaking("1")+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		call, err := a.GoParentWith(r, rpc.CallOptions{}, nil)
		must(t, err)
		must(t, done.Reply())
		must(t, f.Post(func() {
			a.endInput(t)
			f.AfterFunc(0, func() { // in the next iteration; the EOF comes behind it, and then the end of the call
				if !a.CancelParent(call) || a.CancelParent(call) || r.ended() {
					t.Error("CancelParent reports the wrong thing, or ends the call at once")
				}
			})
		}))
	})
	if r.ends != 1 || r.err != rpc.ErrCanceled {
		t.Errorf("the call ended %d times, with %v", r.ends, r.err)
	}
}

// Deadlines may be set in any order; each ends its own call.
func TestUpcallsEndEachAtItsOwnDeadline(t *testing.T) {
	f := newFixture(t)
	far, first, second := &upcallEnd{}, &upcallEnd{}, &upcallEnd{}
	serveAsker(f, rpc.ServerConfig{}, helloTaking("3")+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		second.then = func() { a.endInput(t) }
		for _, c := range []struct {
			end   *upcallEnd
			after time.Duration
		}{{far, guard}, {first, time.Millisecond}, {second, 2 * time.Millisecond}} {
			_, err := a.GoParentWith(c.end, within(c.after), nil)
			must(t, err)
		}
		must(t, done.Reply())
	})
	if first.err != rpc.ErrDeadline || second.err != rpc.ErrDeadline || !isLost(far.err) {
		t.Errorf("the calls ended with %v, %v, and %v", first.err, second.err, far.err)
	}
}

// A server whose output is full makes no upcall.
func TestUpcallNeedsRoomInThePipe(t *testing.T) {
	f := newFixture(t)
	a := serveAsker(f, rpc.ServerConfig{MaxBuffered: 1000}, helloTaking("1")+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		for a.Event(string(make([]byte, 500))) == nil {
		}
		if err := a.GoParent(nil); err != rpc.ErrFull {
			t.Errorf("GoParent returned %v", err)
		}
		must(t, done.Reply())
		a.endInput(t)
	})
	if strings.Contains(<-a.out, "\x50\x00\x00\x01") {
		t.Error("the call was made")
	}
}

// A server that has stopped reading, because many calls wait, reads on when it has made an upcall: the answer is behind them.
func TestUpcallBehindAFullBacklogIsAnswered(t *testing.T) {
	f := newFixture(t)
	said := helloTaking("1")
	for id := range uint32(40) { // 1.25 MiB
		said += frame(id+1, string(make([]byte, 32<<10)))
	}
	r, calls := &upcallEnd{}, 0
	serveAsker(f, rpc.ServerConfig{MaxConcurrent: 1}, said+yes1, func(a *asker, _ rpc.Payload, done rpc.Done) {
		if calls++; calls > 1 {
			must(t, done.Reply())
			return
		}
		r.then = func() { must(t, done.Reply()); a.endInput(t) }
		var whenFull func()
		whenFull = func() {
			if !rpc.IsBacklogFull(a.Server) {
				must(t, f.Post(whenFull))
				return
			}
			_, err := a.GoParentWith(r, rpc.CallOptions{}, nil)
			must(t, err)
		}
		whenFull()
	})
	if calls != 40 || r.ends != 1 {
		t.Errorf("%d calls were begun; the upcall ended %d times", calls, r.ends)
	}
}

// A handler whose ctx has ended asks nobody.
func TestUpcallUnderAnEndedContextIsNotMade(t *testing.T) {
	for _, server := range []string{"sync", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t)
			ours, theirs := socketpair(t)
			file := fileOf(ours)
			defer file.Close()
			_, err := file.WriteString(helloTaking("1") + frame(1, ""))
			must(t, err)
			out := make(chan string, 1)
			go func() { out <- readToEnd(file) }()
			s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
			must(t, err)
			handler := func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
				ended, cancel := context.WithCancel(ctx)
				cancel()
				for range 20 { // each could be made by chance
					if _, err := rpc.CallParent(ended); !errors.Is(err, rpc.ErrCanceled) {
						t.Errorf("CallParent returned %v", err)
					}
				}
				return nil, syscall.Shutdown(ours, syscall.SHUT_WR)
			}
			if server == "sync" {
				err = s.ServeSync(handler)
			} else {
				err = s.ServeGoroutines(handler, 1)
			}
			must(t, err)
			must(t, syscall.Close(theirs))
			if said := <-out; said != ourHello+frame(1, "") {
				t.Errorf("the server says %q", said)
			}
		})
	}
}

// Who wants to make a call before the parent has said hello is told when it has.
func TestHelloMakesRoomForUpcalls(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	var s *rpc.Server
	r, drained := &result{}, 0
	var err error
	s, err = rpc.NewServer(sameFD(theirs), rpc.ServerConfig{OnDrain: func() {
		drained++
		_, err := s.GoParentWith(r, rpc.CallOptions{}, nil)
		must(t, err)
		must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	}})
	must(t, err)
	must(t, f.Post(func() {
		if _, err := s.GoParentWith(r, rpc.CallOptions{}, nil); err != rpc.ErrFull {
			t.Errorf("a call before the hello: %v", err)
		}
		_, err := file.WriteString(helloTaking("1"))
		must(t, err)
	}))
	must(t, s.ServeAsync(f.Loop, nil))
	if drained != 1 || r.ends != 1 || !errors.Is(r.err, rpc.ErrShutdown) {
		t.Errorf("OnDrain was called %d times; the call ended %d times, with %v", drained, r.ends, r.err)
	}
}

// The hello says how many upcalls there may be: none, if it does not name the feature.
func TestHelloSaysHowManyUpcallsThereMayBe(t *testing.T) {
	for _, test := range []struct {
		hello string
		calls int
		then  error
	}{
		{helloTaking("10"), 10, rpc.ErrFull},
		{frame(helloWord, string(rpc.Strings("evfork", "1", "features", "cancel metadata", "calls", "10"))), 0, rpc.ErrNoCalls},
	} {
		f := newFixture(t)
		serveAsker(f, rpc.ServerConfig{}, test.hello+frame(1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
			made, err := 0, error(nil)
			for ; err == nil; made++ {
				_, err = a.GoParentWith(&result{}, rpc.CallOptions{}, nil)
			}
			if made-1 != test.calls || err != test.then {
				t.Errorf("%q: %d calls were made, and then came %v", test.hello, made-1, err)
			}
			must(t, done.Reply())
			a.endInput(t)
		})
	}
}
