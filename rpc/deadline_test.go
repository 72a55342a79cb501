package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// within is a deadline so long from now.
func within(d time.Duration) rpc.CallOptions { return rpc.CallOptions{Deadline: time.Now().Add(d)} }

// beginWith makes a call with options that must be accepted.
func (f *fixture) beginWith(c *rpc.Client, options rpc.CallOptions, args ...string) (*result, rpc.CallID) {
	f.t.Helper()
	r := &result{}
	id, err := c.GoWith(r, options, rpc.Strings(args...))
	must(f.t, err)
	return r, id
}

func TestDeadlineEndsTheCallAndTheHandlersContext(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		f.works(c)
		start := time.Now()
		r, _ := f.beginWith(c, within(5*time.Millisecond), "until the end")
		f.until(r.ended)
		if !errors.Is(r.err, rpc.ErrDeadline) || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("the call ended with %v", r.err)
		}
		if since := time.Since(start); since < 5*time.Millisecond {
			t.Errorf("the call ended %v after it was made", since)
		}
		f.until(func() bool { return c.InFlight() == 0 })
		f.works(c)
		if r.ends != 1 || len(w.events) > 0 && !slices.Equal(w.events, []string{"begun", "context deadline exceeded"}) &&
			!slices.Equal(w.events, []string{"begun", "context canceled"}) {
			t.Errorf("the call ended %d times, events %q", r.ends, w.events)
		}
	})
}

func TestDeadlineEndsACallToAChildThatIsStopped(t *testing.T) {
	for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync, rpc.AnyEventSync} {
		eachServer(t, func(t *testing.T, p peer) {
			f := newFixture(t)
			var w watched
			p.wire = wire
			proc := f.spawn(p, child.Config{})
			c := f.client(proc, p, w.config(rpc.Config{}))
			f.works(c)
			stop(t, proc)
			r, _ := f.beginWith(c, within(time.Millisecond), "event", "of a late call")
			f.until(r.ended)
			if !errors.Is(r.err, rpc.ErrDeadline) || c.InFlight() != 1 {
				t.Errorf("the call ended with %v, %d in flight", r.err, c.InFlight())
			}
			must(t, proc.Signal(syscall.SIGCONT))
			f.until(func() bool { return c.InFlight() == 0 })
			// On Evfork's wire nobody begins a call that is late.
			if begun := len(w.events) > 0; begun != (wire != rpc.Evfork) {
				t.Errorf("over %v the call was begun: %v", wire, begun)
			}
			f.works(c)
		})
	}
}

func TestEarlierDeadlineOfALaterCallEndsFirst(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{})
	f.works(c)
	var order []string
	base := time.Now() // of all three, however long lies between the calls
	call := func(name string, d time.Duration) {
		_, err := c.GoWith(completion(func(_ rpc.Payload, err error) {
			if !errors.Is(err, rpc.ErrDeadline) {
				t.Errorf("%s ended with %v", name, err)
			}
			order = append(order, name)
		}), rpc.CallOptions{Deadline: base.Add(d)}, rpc.Strings("hold"))
		must(t, err)
	}
	call("c", 30*time.Millisecond)
	call("a", time.Millisecond)
	call("b", 15*time.Millisecond)
	f.until(func() bool { return len(order) == 3 })
	if got := strings.Join(order, ""); got != "abc" {
		t.Errorf("the order is %s", got)
	}
}

// completion makes a Completion of a func.
type completion func(rpc.Payload, error)

func (fn completion) Complete(p rpc.Payload, err error) { fn(p, err) }

func TestReplyBeforeTheDeadlineIsTheEnd(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		for range 3 { // the first before the other side's hello has come
			var calls []*result
			for range 50 {
				r, _ := f.beginWith(c, within(guard), "echo", "in time")
				calls = append(calls, r)
			}
			f.until(func() bool { return c.InFlight() == 0 })
			for _, r := range calls {
				if r.ends != 1 || r.err != nil || r.reply[0] != "in time" {
					t.Fatalf("the call ended %d times: %q, %v", r.ends, r.reply, r.err)
				}
			}
		}
	})
}

func TestDeadlineThatHasPassedEndsTheCallLater(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	r, _ := f.beginWith(c, within(-time.Hour), "echo")
	if r.ended() {
		t.Fatal("the call ended inside GoWith")
	}
	f.until(r.ended)
	if !errors.Is(r.err, rpc.ErrDeadline) {
		t.Errorf("the call ended with %v", r.err)
	}
}

func TestCallsDeadlineTravels(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		var w watched
		c := f.connect(p, w.config(rpc.Config{}))
		f.works(c)
		f.background()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := c.Call(ctx, "until the end")
		if !errors.Is(err, rpc.ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call returned %v", err)
		}
		must(t, c.ShutdownWait(t.Context())) // the handler has ended
	})
}

// The deadline of a call that was made before the child's hello does not travel: at it, or with the hello, a cancel does.
func TestDeadlineOfACallMadeBeforeTheHelloIsACancel(t *testing.T) {
	for _, when := range []string{"before it", "after it"} {
		t.Run(when, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			r, _ := f.beginWith(c, within(5*time.Millisecond), "echo")
			if when == "before it" {
				f.until(r.ended)
			}
			_, err := file.WriteString(strangersHello)
			must(t, err)
			f.until(func() bool { return r.ended() && rpc.Greeted(c) })
			must(t, f.Poll(0))
			want := clientHello + frame(1, "\x04echo") + frame(cancelKind|1, "")
			if got := readBytes(file, len(want)); got != want || r.err != rpc.ErrDeadline {
				t.Errorf("the call ended with %v, and the child was told %q", r.err, got)
			}
		})
	}
}

func TestCallReturnsTheCauseOfItsContext(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{})
	f.background()
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := c.Call(ctx, "echo"); !errors.Is(err, why) || !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("Call returned %v", err)
	}
}

// metaCall is a call with metadata, written without the package's encoder.
func metaCall(id uint32, block, payload string) string {
	return frame(0x40000000|id, string(rune(len(block)))+block+payload)
}

func deadlineBlock(absolute, left int64) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(absolute))
	return "\x08deadline\x10" + string(binary.BigEndian.AppendUint64(b, uint64(left)))
}

func TestServersReadMetadata(t *testing.T) {
	echo := "\x04echo\x02hi"
	tests := []struct{ name, in, want string }{
		{"no metadata", metaCall(1, "", echo), frame(1, "\x02hi")},
		{"unknown metadata", metaCall(1, "\x05trace\x03abc", echo), frame(1, "\x02hi")},
		{"time left", metaCall(1, deadlineBlock(0, int64(time.Hour)), echo), frame(1, "\x02hi")},
		// The hello of this parent names no clock, so that its reading means nothing.
		{"another clock", metaCall(1, deadlineBlock(1, int64(time.Hour)), echo), frame(1, "\x02hi")},
		{"no time left", metaCall(1, deadlineBlock(0, -1), echo), frame(errorKind|1, "\x23rpc: the call's deadline has passed\x08deadline\x00")},
		{"cancel of a call that never was", frame(0x30000002, "") + frame(1, echo), frame(1, "\x02hi")},
		{"extension", frame(0xe0000001, "whatever") + frame(0xe0000000, "") + frame(1, echo), frame(1, "\x02hi")},
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, test := range tests {
			t.Run(server+"/"+test.name, func(t *testing.T) {
				newFixture(t)
				out, err := serveRaw(t, peer{server: server}, hello+test.in)
				must(t, err)
				if out = strings.TrimPrefix(out, ourHello); out != test.want {
					t.Errorf("is  %q\nnot %q", out, test.want)
				}
			})
		}
	}
}
