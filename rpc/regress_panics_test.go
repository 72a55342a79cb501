package rpc_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/codec/jsoncodec"
)

// spiteful is a codec that panics instead of encoding a number above 1.
type spiteful struct{ rpc.Codec }

func (s spiteful) Append(buf []byte, value any) ([]byte, error) {
	if n := value.(*job).N; n > 1 {
		panic("not encoded")
	}
	return s.Codec.Append(buf, value)
}

// A codec that panicked in a fan-out left a job that nobody ended, and Results waited for it for ever.
func TestFanOutWhoseCodecPanics(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "sync", rpc.Config{})
		f.elsewhere(config)
		bad := rpc.NewMethod[job, int]("double", spiteful{jsoncodec.Codec{}})
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		defer cancel()
		fan := bad.FanOut(ctx, clients, slices.Values([]job{{N: 0}, {N: 1}, {N: 2}, {N: 3}}), config)
		results := 0
		defer func() {
			if r := recover(); r != "not encoded" {
				t.Errorf("Results panicked with %v", r)
			}
			if results != 2 {
				t.Errorf("there were %d results before", results)
			}
		}()
		for r := range fan.Results() {
			must(t, r.Err)
			results++
		}
		t.Error("Results ended without a panic")
	})
}

// The process died of the panic of a sequence that had seen the end of its ctx, if Results had seen it, too, but had not ended.
func TestFanOutWhoseSequencePanicsAtTheEndOfItsContext(t *testing.T) {
	fanModes(t, func(t *testing.T, f *fixture, config rpc.FanOutConfig) {
		clients := f.workers(1, "async", rpc.Config{})
		f.elsewhere(config)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		seen, sequence := make(chan struct{}), make(chan string, 1)
		fan := double.FanOut(ctx, clients, func(yield func(job) bool) {
			yield(job{What: "hang"})
			cancel()
			<-seen
			sequence <- goroutineName()
			panic("out of jobs")
		}, config)
		defer func() {
			if r := recover(); r != "out of jobs" {
				t.Errorf("Results panicked with %v", r)
			}
		}()
		for r := range fan.Results() {
			if r.Err != context.Canceled {
				t.Errorf("the job ended with %v", r.Err)
			}
			close(seen)
			for name := <-sequence; goroutineLives(name); runtime.Gosched() {
			}
		}
		t.Error("Results ended without a panic")
	})
}

// goroutineName is what the stack of the calling goroutine begins with.
func goroutineName() string {
	buf := make([]byte, 64)
	name, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), "[")
	return name
}

func goroutineLives(name string) bool {
	buf := make([]byte, 1<<20)
	return strings.Contains("\n"+string(buf[:runtime.Stack(buf, true)]), "\n"+name)
}

// unsayable is an error that panics when it is asked what it is, as a nil pointer in an error does.
type unsayable struct{ text string }

func (u *unsayable) Error() string { return u.text }

// Such an error ended the process of a child that runs handlers on goroutines, and all calls with it.
func TestErrorThatPanicsEndsItsCall(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			mux := rpc.NewMux()
			failing.Handle(mux, func(context.Context, string) (string, error) {
				var none *unsayable
				return "", none
			})
			c := f.typedHere(peer{transport: "socketpair", server: server}, mux, rpc.Config{})
			var remote *rpc.RemoteError
			for range 2 {
				_, err := askTyped(f, c, failing, "")
				if !errors.As(err, &remote) || !strings.Contains(remote.Message, "nil pointer") {
					t.Errorf("the call ended with %v", err)
				}
			}
		})
	}
}

// survivor is a fixture whose loop survives panics.
func newSurvivor(t *testing.T) (f *fixture, panics *int) {
	panics = new(int)
	f = newFixtureWith(t, reactor.Config{OnPanic: func(*reactor.Panic) { *panics++ }})
	return f, panics
}

// On a loop that survives panics those behind one in WaitReady waited until something else happened.
func TestPanicInWaitReadyKeepsNobodyBehindItWaiting(t *testing.T) {
	f, panics := newSurvivor(t)
	c := f.connect(pipes("async"), rpc.Config{})
	f.works(c)
	ready := 0
	must(t, c.WaitReady(func() { panic("in a callback") }))
	must(t, c.WaitReady(func() { ready++ }))
	must(t, f.Poll(0))
	if ready != 1 || *panics != 1 {
		t.Errorf("the second function was called %d times, with %d panics", ready, *panics)
	}
	f.works(c)
}

// Of several callbacks that panicked when a client ended only the last was heard of.
func TestPanicsOfSeveralCallbacksAreAllHeardOf(t *testing.T) {
	var heard []any
	f := newFixtureWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { heard = append(heard, p.Value) }})
	over := false
	transport := f.start(pipes("async"))
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 3, OnError: func(error) { panic("in OnError") }})
	f.works(c)
	for i := range 3 {
		must(t, c.Go(func(rpc.Payload, error) { panic(i) }, "hang"))
	}
	must(t, c.WaitReady(func() { panic("in WaitReady") }))
	transport.OnEnd(func(error) { over = true })
	transport.Abort(errors.New("no more"))
	f.until(func() bool { return over })
	if want := []any{0, 1, 2, "in WaitReady", "in OnError"}; !slices.Equal(heard, want) {
		t.Errorf("the panics %v were heard of, and not %v", heard, want)
	}
}

// newListener is a fixture whose loop survives panics, and what they were.
func newListener(t *testing.T) (f *fixture, heard *[]any) {
	heard = new([]any)
	f = newFixtureWith(t, reactor.Config{OnPanic: func(p *reactor.Panic) { *heard = append(*heard, p.Value) }})
	return f, heard
}

// If the callback of a call that had ended here panicked, and so did the function that got its room, the first was not heard of.
func TestPanicOfACancelledCallIsHeardOfBesideThatOfWaitReady(t *testing.T) {
	for way, options := range map[string]rpc.StreamOptions{
		"cancel":   {},
		"deadline": {Deadline: time.Now().Add(time.Millisecond)},
	} {
		t.Run(way, func(t *testing.T) {
			f, heard := newListener(t)
			transport, _ := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
			s, err := c.GoStream(failingEnd{}, options, nil) // of which the child is not told: so its end leaves room
			must(t, err)
			must(t, c.WaitReady(func() { panic("in WaitReady") }))
			f.until(func() bool { return rpc.Waiting(c) == 1 || len(*heard) > 0 })
			if way == "cancel" {
				s.Cancel()
			}
			f.until(func() bool { return c.InFlight() == 0 && rpc.Waiting(c) == 0 })
			must(t, f.Poll(0))
			if want := []any{"in a callback", "in WaitReady"}; !slices.Equal(*heard, want) {
				t.Errorf("the panics %v were heard of, and not %v", *heard, want)
			}
		})
	}
}

// A function of WaitReady that panics when Shutdown calls it kept the child's input open, and the child running, for ever.
func TestShutdownGoesOnAlthoughAFunctionOfWaitReadyPanics(t *testing.T) {
	f, heard := newListener(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{}))
	must(t, f.Post(func() {
		must(t, c.WaitReady(func() { panic("in WaitReady") }))
		c.Shutdown()
	}))
	gone := followToTheEnd(file)
	f.until(w.ended)
	must(t, <-gone)
	if len(*heard) != 1 || w.destroyed != 1 {
		t.Errorf("panics %v; OnDestroy %d times, OnError: %v", *heard, w.destroyed, w.err)
	}
}

// A child that exits at the EOF which it sees when a callback of its connection has panicked was all that was told: calls
// whose replies were not read for that were lost to a child that had exited with code 0, and if there were none, the end was an
// orderly one.
func TestEndOfAConnectionThatAPanicHasClosedIsNoOrderlyOne(t *testing.T) {
	for others := range 2 {
		f, panics := newSurvivor(t)
		var w watched
		c := f.connect(pipes("sync"), w.config(rpc.Config{}))
		f.works(c)
		must(t, c.Go(func(rpc.Payload, error) { panic("in a callback") }, "echo", "a"))
		var lost []*result
		for range others {
			lost = append(lost, f.begin(c, "echo", "b"))
		}
		f.until(w.ended)
		var cause *reactor.Panic
		if *panics != 1 || w.destroyed != 0 || !errors.As(w.err, &cause) {
			t.Errorf("with %d others and %d panics the client has ended with %v", others, *panics, w.err)
		}
		for _, r := range lost {
			if !errors.As(r.err, &cause) {
				t.Errorf("a call has ended with %v", r.err)
			}
		}
	}
}

// In the moment between the end of the connection and that of the client a call was refused as if the loop had ended.
func TestCallBetweenTheEndOfTheConnectionAndThatOfTheClient(t *testing.T) {
	for way, end := range map[string]func(transport *rpc.StreamTransport, file *os.File) error{
		"panic": func(_ *rpc.StreamTransport, file *os.File) error {
			_, err := file.WriteString(frame(helloWord, helloPayload) + frame(0, "an event"))
			return err
		},
		"violation": func(_ *rpc.StreamTransport, file *os.File) error {
			_, err := file.WriteString("not a hello at all")
			return err
		},
		"EOF": func(_ *rpc.StreamTransport, file *os.File) error { return file.Close() },
		"abort": func(transport *rpc.StreamTransport, _ *os.File) error {
			transport.Abort(errors.New("no more"))
			return nil
		},
	} {
		t.Run(way, func(t *testing.T) {
			f, _ := newSurvivor(t)
			transport, file := f.stranger()
			var w watched
			c := f.client(transport, peer{}, w.config(rpc.Config{OnEvent: func(rpc.Payload) { panic("in a callback") }}))
			var refused error
			last := f.AfterFunc(0, func() { refused = cmp.Or(refused, c.Go(nil, "echo")) }) // after what is read
			must(t, last.SetPriority(reactor.MinPriority))
			must(t, end(transport, file))
			must(t, f.Poll(time.Millisecond))
			var lost *rpc.LostError
			var cause *reactor.Panic
			if !errors.As(refused, &lost) || way == "panic" && !errors.As(refused, &cause) {
				t.Errorf("the call was refused with %v", refused)
			}
			f.until(w.ended)
		})
	}
}

// A call that had waited for room, and got that with the last that the child said before a violation, ended as if the loop had.
func TestCallThatWaitedForRoomUntilAViolationEndsWithThat(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{MaxInFlight: 1}))
	must(t, c.Go(nil, "echo"))
	var err error
	f.servers.Go(func() { _, err = c.Call(t.Context(), "echo") })
	f.until(func() bool { return rpc.Waiting(c) == 1 })
	_, failed := file.WriteString(frame(helloWord, helloPayload) + frame(1, "") + frame(1, ""))
	must(t, failed)
	f.until(w.ended)
	f.servers.Wait()
	var cause *rpc.ProtocolError
	if !errors.As(err, &cause) {
		t.Errorf("the call has ended with %v", err)
	}
}
