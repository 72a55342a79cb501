package rpc_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// parted is a result whose Part does something.
type parted struct {
	result
	n, size int
	fn      func()
}

func (p *parted) Part(part rpc.Payload) {
	p.n++
	p.size += len(part)
	if p.fn != nil {
		p.fn()
	}
}

// countParts makes a call with a window of 20 of its 500 parts.
func countParts(t *testing.T, c *rpc.Client) (*parted, *rpc.LoopStream) {
	t.Helper()
	r := &parted{}
	s, err := c.GoStream(r, rpc.StreamOptions{Window: 1000}, request("count", 500, 42))
	must(t, err)
	return r, s
}

// A paused stream gets what its window allows, and no more, until it is resumed.
func TestPausedStreamGetsItsWindowAndAPart(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		r, s := countParts(t, c)
		s.Pause()
		f.until(func() bool { return r.n == 20 }) // each costs 50
		if p.server != "sync" {                   // which answers nothing else meanwhile
			f.works(c)
		}
		must(t, f.Poll(0))
		if r.n != 20 || r.ended() {
			t.Errorf("%d parts came, the call ended %d times", r.n, r.ends)
		}
		s.Resume()
		f.until(r.ended)
		if r.n != 500 || r.size != 500*42 || r.err != nil {
			t.Errorf("%d parts of %d bytes, %v", r.n, r.size, r.err)
		}
		s.Pause() // and Resume: nothing happens any more
		s.Resume()
		s.CloseSend()
		if s.Cancel() {
			t.Error("a call that has ended was cancelled")
		}
	})
}

// No part follows a cancel, even from inside Part.
func TestCancelInsidePart(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		r, s := countParts(t, c)
		r.fn = func() {
			if r.n == 7 && !s.Cancel() {
				t.Error("there was nothing to cancel")
			}
		}
		f.until(func() bool { return r.ended() && c.InFlight() == 0 })
		if r.n != 7 || r.ends != 1 || !errors.Is(r.err, rpc.ErrCanceled) {
			t.Errorf("%d parts, %d ends, %v", r.n, r.ends, r.err)
		}
		f.works(c)
	})
}

// Before the hello, and after it.
func TestDeadlineOfAStreamOnTheLoop(t *testing.T) {
	for _, greeted := range []bool{false, true} {
		t.Run(fmt.Sprint(greeted), func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			if greeted {
				_, err := file.WriteString(ourHello)
				must(t, err)
				f.until(func() bool { return heard(file) > 0 })
				must(t, f.Poll(0))
			}
			r := &parted{}
			_, err := c.GoStream(r, rpc.StreamOptions{Deadline: time.Now().Add(time.Millisecond), Input: true}, nil)
			must(t, err)
			f.until(r.ended)
			if !errors.Is(r.err, rpc.ErrDeadline) || r.ends != 1 || (c.InFlight() == 1) != greeted {
				t.Errorf("%d ends, %v, %d in flight", r.ends, r.err, c.InFlight())
			}
		})
	}
}

// Parts that nobody takes are dropped, and granted.
func TestStreamWithoutAReceiverDropsItsParts(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	r := &result{}
	_, err := c.GoStream(r, rpc.StreamOptions{Window: 100}, request("count", 500, 42))
	must(t, err)
	_, err = c.GoStream(nil, rpc.StreamOptions{Window: 100}, request("count", 500, 42))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
	if r.err != nil || r.reply[0] != "500" {
		t.Errorf("%q, %v", r.reply, r.err)
	}
}

// The errors of GoStream itself.
func TestGoStreamRefuses(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{MaxInFlight: 1, MaxFrame: 1000})
	if _, err := c.GoStream(nil, rpc.StreamOptions{}, make([]byte, 1000)); err != rpc.ErrTooLarge {
		t.Errorf("a request that is too large: %v", err)
	}
	f.works(c)
	s, err := c.GoStream(&result{}, rpc.StreamOptions{Input: true}, request("sum"))
	must(t, err)
	if err := s.Send(make([]byte, 1001)); err != rpc.ErrTooLarge {
		t.Errorf("a part that is too large: %v", err)
	}
	if _, err := c.GoStream(nil, rpc.StreamOptions{}, nil); err != rpc.ErrFull {
		t.Errorf("more than MaxInFlight: %v", err)
	}
	s.CloseSend()
	if err := s.Send(nil); err != rpc.ErrNoInput {
		t.Errorf("a part behind the end: %v", err)
	}
	f.until(func() bool { return c.InFlight() == 0 })
	c.Shutdown()
	if _, err := c.GoStream(nil, rpc.StreamOptions{}, nil); err != rpc.ErrShutdown {
		t.Errorf("after Shutdown: %v", err)
	}
}

// What does not fit into the parent's buffer is sent when it has been emptied: the call, its parts, credit, the
// end of the input.
func TestStreamsInASmallBuffer(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 300
		c := f.connect(p, rpc.Config{MaxFrame: 1000, MaxBuffered: 1100})
		f.background()
		const streams = 30
		ended := make(chan error, streams)
		for range streams {
			s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true, Window: 300}, request("pipe"))
			go func() {
				for i := range 50 {
					if err := s.Send(partOf(i, 100+i)); err != nil {
						ended <- err
						return
					}
				}
				s.CloseSend()
			}()
			go func() {
				n := 0
				for part, err := range s.Parts() {
					if err == nil && len(part) != 100+n {
						err = fmt.Errorf("part %d has %d bytes", n, len(part))
					}
					if err != nil {
						ended <- err
						return
					}
					n++
				}
				_, err := s.Reply()
				ended <- err
			}()
		}
		for range streams {
			must(t, <-ended)
		}
		must(t, c.ShutdownWait(t.Context()))
	})
}

// Against a slice, with parts of any length.
func TestPartQueueIsAQueue(t *testing.T) {
	var q rpc.PartQueue
	var model []string
	cost := 0
	for i := range 100_000 {
		if i%7 < 4 {
			part := string(partOf(i, i%5000*(i%5000)%5000))
			q.Push([]byte(part))
			model = append(model, part)
			cost += len(part) + 8
		} else if len(model) > 0 {
			part := q.Pop()
			q.Push([]byte("behind"))
			if string(part) != model[0] {
				t.Fatalf("step %d: %.20q", i, part)
			}
			cost += len("behind") - len(part)
			model = append(model[1:], "behind")
		}
		if len(model) > 200 {
			for _, want := range model {
				if got := q.Pop(); string(got) != want {
					t.Fatalf("step %d: %.20q", i, got)
				}
			}
			model, cost = nil, 0
		}
		if q.Len() != len(model) || q.Cost() != int64(cost) {
			t.Fatalf("step %d: %d parts that cost %d, not %d, %d", i, q.Len(), q.Cost(), len(model), cost)
		}
		// A part that does not fit leaves the end of a chunk unused; one chunk is partly read, one
		// partly filled, and one is kept.
		if kept := q.Kept(); kept > 2*int(q.Cost())+3*16<<10 {
			t.Fatalf("step %d: %d bytes are kept for %d", i, kept, q.Cost())
		}
	}
}
