package rpc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// What a LoopStream refuses, and what the child is not told.

// A call that GoStream refuses for want of room is none: the client does not wait for its end.
func TestStreamThatIsRefusedLeavesNothing(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{MaxBuffered: 1000}))
	_, err := file.WriteString(ourHello)
	must(t, err)
	f.hears(file, len(clientHello))
	f.until(func() bool { return rpc.Greeted(c) })
	for _, test := range []struct {
		before, size int
		err          error
	}{{600, 600, rpc.ErrFull}, {0, 2000, rpc.ErrTooLarge}} {
		calls := c.InFlight()
		if test.before > 0 {
			must(t, c.GoBytes(nil, make([]byte, test.before)))
			calls++
		}
		if _, err := c.GoStream(nil, rpc.StreamOptions{Input: true}, make([]byte, test.size)); err != test.err {
			t.Errorf("GoStream of %d bytes behind %d returned %v", test.size, test.before, err)
		}
		if n := c.InFlight(); n != calls {
			t.Errorf("%d calls are in flight instead of %d", n, calls)
		}
		must(t, f.Poll(0))
	}
	c.Shutdown()
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	gone := followToTheEnd(file)
	f.until(w.ended)
	must(t, <-gone)
	if w.destroyed != 1 {
		t.Errorf("the client ended with %v", w.err)
	}
}

// A call that has waited for the hello and then cannot be sent ends, once, and leaves room.
func TestStreamThatTheHelloForbidsEndsUntold(t *testing.T) {
	for _, test := range []struct {
		name, hello string
		size        int
		err         error
	}{
		{"a child without streamed calls", hello, 0, rpc.ErrNoStreams},
		{"more than ever fits", ourHello, 2000, rpc.ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
			r := &result{}
			_, err := c.GoStream(r, rpc.StreamOptions{Input: true}, make([]byte, test.size))
			must(t, err)
			f.hears(file, len(clientHello))
			_, err = file.WriteString(test.hello)
			must(t, err)
			f.until(r.ended)
			if r.err != test.err || r.ends != 1 || c.InFlight() != 0 {
				t.Errorf("the call ended %d times, with %v; %d are in flight", r.ends, r.err, c.InFlight())
			}
			f.hearsNoMore(file)
		})
	}
}

// The end of the parts of a call that waits for the hello comes behind the call.
func TestCloseSendBeforeTheHelloComesBehindTheCall(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	r := &result{}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true, Window: 7}, nil)
	must(t, err)
	s.CloseSend()
	f.hears(file, len(clientHello))
	_, err = file.WriteString(ourHello)
	must(t, err)
	want := windowCall(1, 7, true, nil) + frame(endKind|1, "")
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	f.until(r.ended)
	f.hearsNoMore(file)
}

func TestSendNeedsACallWithInput(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{})
	f.works(c)
	r := &result{}
	s, err := c.GoStream(r, rpc.StreamOptions{}, request("echo"))
	must(t, err)
	if err := s.Send(nil); err != rpc.ErrNoInput {
		t.Errorf("Send returned %v", err)
	}
	s.CloseSend()
	f.until(r.ended)
	if r.err != nil {
		t.Errorf("the call ended with %v", r.err)
	}
}

// quitter cancels its call when a part comes.
type quitter struct {
	result
	stream *rpc.LoopStream
}

func (q *quitter) Part(rpc.Payload) { q.stream.Cancel() }

// A call that its caller cancels as it takes a part grants nothing for it.
func TestCancelledStreamGrantsNothing(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	q := &quitter{}
	var err error
	q.stream, err = c.GoStream(q, rpc.StreamOptions{Window: 7}, nil)
	must(t, err)
	_, err = file.WriteString(ourHello + frame(partKind|1, strings.Repeat("x", 100)))
	must(t, err)
	want := clientHello + windowCall(1, 7, false, nil) + frame(cancelKind|1, "")
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	f.until(q.ended)
	f.hearsNoMore(file)
	if q.ends != 1 || !errors.Is(q.err, rpc.ErrCanceled) {
		t.Errorf("the call ended %d times, with %v", q.ends, q.err)
	}
}

// However much a child grants, no more parts wait for it than its parent's high-water mark allows.
func TestSendOnTheLoopIsFullWhenTheBufferIsCongested(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	r := &roomy{fn: func() {}}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true}, nil)
	must(t, err)
	_, err = file.WriteString(frame(helloWord, "\x06evfork\x011\x08features\x10metadata credits\x06window\x0a9999999999"))
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) })
	part, sent := make([]byte, 64<<10), 0
	for err = nil; err == nil; must(t, f.Poll(0)) {
		if err = s.Send(part); err == nil {
			sent += len(part)
		}
	}
	if err != rpc.ErrFull || sent > 4<<20 { // a socket holds less than the other half
		t.Errorf("after %d bytes Send returned %v", sent, err)
	}
	for rooms := r.rooms; r.rooms == rooms; must(t, f.Poll(0)) {
		f.hears(file, 1000)
	}
	must(t, s.Send(part))
}

// congesting fills its client's buffer when a part comes.
type congesting struct {
	result
	t *testing.T
	c *rpc.Client
}

func (q *congesting) Part(rpc.Payload) { must(q.t, q.c.GoBytes(nil, make([]byte, 992))) }

// Credit that does not fit behind other frames is granted when these have been written.
func TestCreditThatDoesNotFitIsGrantedLater(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	q := &congesting{t: t, c: c}
	_, err := c.GoStream(q, rpc.StreamOptions{Window: 7}, nil)
	must(t, err)
	_, err = file.WriteString(ourHello)
	must(t, err)
	f.hears(file, len(clientHello+windowCall(1, 7, false, nil)))
	_, err = file.WriteString(frame(partKind|1, "part"))
	must(t, err)
	want := frame(2, string(make([]byte, 992))) + credit(1, 12)
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(frame(1, "") + frame(2, ""))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
	f.hearsNoMore(file)
}

// A streamed call may have been started once the child has read it, also if it was made before the hello.
func TestLostStreamHasStartedIfItWasTold(t *testing.T) {
	for _, told := range []bool{false, true} {
		t.Run(fmt.Sprint(told), func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			r := &result{}
			_, err := c.GoStream(r, rpc.StreamOptions{Window: 7}, nil)
			must(t, err)
			f.hears(file, len(clientHello))
			if told {
				_, err = file.WriteString(ourHello)
				must(t, err)
				f.hears(file, len(windowCall(1, 7, false, nil)))
			}
			must(t, file.Close())
			f.until(r.ended)
			if lost, ok := errors.AsType[*rpc.LostError](r.err); !ok || lost.Started != told {
				t.Errorf("the call ended with %#v", r.err)
			}
		})
	}
}

func TestPartsMayBeAsLongAsFrames(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxFrame: 100})
	s, err := c.GoStream(nil, rpc.StreamOptions{Input: true}, nil)
	must(t, err)
	_, err = file.WriteString(ourHello)
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) })
	if err := s.Send(make([]byte, 101)); err != rpc.ErrTooLarge {
		t.Errorf("Send of too much returned %v", err)
	}
	must(t, s.Send(make([]byte, 100)))
}
