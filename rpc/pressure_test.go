package rpc_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// The tests of what is held back when one side does not read, or not fast enough.

func TestServeAsyncBeginsNoMoreThanMaxConcurrent(t *testing.T) {
	f := newFixture(t)
	p := pipes("async")
	p.concurrent = 3
	var w watched
	c := f.connect(p, w.config(rpc.Config{}))
	var ids []rpc.CallID
	for range 3 {
		_, id := f.beginWith(c, rpc.CallOptions{}, "until the end")
		ids = append(ids, id)
	}
	f.until(func() bool { return len(w.events) == 3 })
	var rest []*result
	for i := range 1000 {
		rest = append(rest, f.begin(c, "echo", fmt.Sprint(i)))
	}
	_, last := f.beginWith(c, rpc.CallOptions{}, "event", "must not happen")
	c.Cancel(last)
	// The cancel of a running call overtakes all that wait.
	c.Cancel(ids[0])
	f.until(func() bool { return c.InFlight() == 2 })
	for i, r := range rest {
		if r.ends != 1 || r.err != nil || r.reply[0] != fmt.Sprint(i) {
			t.Fatalf("call %d ended %d times: %q, %v", i, r.ends, r.reply, r.err)
		}
	}
	if want := []string{"begun", "begun", "begun", "context canceled"}; !slices.Equal(w.events, want) {
		t.Errorf("events %q", w.events)
	}
	c.Cancel(ids[1])
	c.Cancel(ids[2])
	c.Shutdown() // an EOF behind calls that wait
	f.until(w.ended)
	if w.destroyed != 1 {
		t.Errorf("OnError got %v", w.err)
	}
}

// Everything that waits is read before the EOF is acted upon.
func TestServeAsyncAnswersWhatWaitsBehindItsLimitAtTheEnd(t *testing.T) {
	newFixture(t)
	in, want := hello, 0
	for i := range 5000 {
		in += frame(uint32(i+1), "\x04echo\x02hi")
		want += len(frame(1, "\x02hi"))
	}
	p := peer{server: "async", concurrent: 1, buffered: 1000}
	out, err := serveRaw(t, p, in)
	must(t, err)
	if got := len(strings.TrimPrefix(out, ourHello)); got != want {
		t.Errorf("%d bytes of replies, want %d", got, want)
	}
}

// paused is the transport of a parent that does not read.
type paused struct {
	*child.Process
	stream *reactor.Stream
}

func (t *paused) Open(config reactor.StreamConfig) (*reactor.Stream, error) {
	stream, err := t.Process.Open(config)
	if err == nil {
		t.stream = stream
		err = stream.Pause()
	}
	return stream, err
}

// A parent that does not read costs no more than MaxBuffered; then Event is full,
// and OnDrain tells when it is not. The child says on its stderr that it is full.
func TestEventsOfServeAsyncAreBounded(t *testing.T) {
	f := newFixture(t)
	var w watched
	events, bytes := 0, 0
	p := pipes("async")
	p.buffered = 100_000
	transport := &paused{}
	transport.Process = f.spawn(p, child.Config{PipeSize: 4096, OnStderr: func([]byte) { must(t, transport.stream.Resume()) }})
	c := f.client(transport, p, w.config(rpc.Config{OnEvent: func(e rpc.Payload) {
		events++
		bytes += len(e)
	}}))
	const size, total = 1000, 2000
	reply, err := f.ask(c, "flood", fmt.Sprint(size), fmt.Sprint(total))
	must(t, err)
	if most, _ := strconv.Atoi(reply[0]); most < p.buffered-2*size || most > p.buffered+2*size {
		t.Errorf("%d bytes were queued, with a limit of %d", most, p.buffered)
	}
	if events != total || bytes < total*size {
		t.Errorf("%d events came, %d bytes", events, bytes)
	}
}

// A child that is stopped while it is flooded, and a parent that floods it.
func TestStoppedChildCostsNoMoreThanMaxBuffered(t *testing.T) {
	f := newFixture(t)
	proc := f.spawn(peer{transport: "pipes", server: "async", mirror: true}, child.Config{})
	const limit = 1 << 20
	c := f.client(proc, peer{}, rpc.Config{MaxBuffered: limit})
	warm := false
	must(t, c.GoBytes(func(rpc.Payload, error) { warm = true }, nil))
	f.until(func() bool { return warm })
	stop(t, proc)
	var calls []*result
	for {
		r := &result{}
		if err := c.GoBytesTo(r, make([]byte, 50_000)); err != nil {
			if !errors.Is(err, rpc.ErrFull) {
				t.Fatal(err)
			}
			break
		}
		calls = append(calls, r)
	}
	if n := f.Stats().Buffered; n > limit {
		t.Errorf("%d bytes are buffered", n)
	}
	must(t, proc.Signal(syscall.SIGCONT))
	f.until(func() bool { return c.InFlight() == 0 })
	for i, r := range calls {
		if r.ends != 1 {
			t.Errorf("call %d ended %d times, with %v", i, r.ends, r.err)
		}
	}
}
