package rpc_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// What a Stream tells the child, and what it keeps, seen by a child that the test plays.

// goroutineStream is a Stream whose call is number 1.
type goroutineStream struct {
	*rpc.Stream
	f    *fixture
	c    *rpc.Client
	file *os.File
}

// newGoroutineStream makes the call, to a child that grants a window of 18 bytes, which is one part of 10.
func newGoroutineStream(t *testing.T, ctx context.Context, options rpc.StreamOptions) *goroutineStream {
	t.Helper()
	f := newFixture(t)
	transport, file := f.stranger()
	s := &goroutineStream{f: f, c: f.client(transport, peer{}, rpc.Config{}), file: file}
	s.says(frame(helloWord, "\x06evfork\x011\x08features\x17metadata credits cancel\x06window\x0218"))
	f.hears(file, len(clientHello))
	f.until(func() bool { return rpc.Greeted(s.c) })
	s.Stream = s.c.CallStream(ctx, options, nil)
	f.until(func() bool { return s.c.InFlight() == 1 })
	return s
}

func (s *goroutineStream) says(frames string) {
	s.f.t.Helper()
	_, err := s.file.WriteString(frames)
	must(s.f.t, err)
}

func (s *goroutineStream) hears(want string) {
	s.f.t.Helper()
	if got := s.f.hears(s.file, len(want)); got != want {
		s.f.t.Errorf("the child reads %q\nnot %q", got, want)
	}
}

// ends has the call answered.
func (s *goroutineStream) ends(reply string) {
	s.f.t.Helper()
	s.says(frame(1, reply))
	s.f.until(func() bool { return s.c.InFlight() == 0 })
}

// came is what can be ranged over.
func (s *goroutineStream) came() (parts []string, err error) {
	for part, err := range s.Parts() {
		if err != nil {
			return parts, err
		}
		parts = append(parts, string(part))
	}
	return parts, nil
}

func TestDeadlineOfAStreamsContextTravels(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	s := newGoroutineStream(t, ctx, rpc.StreamOptions{Window: 40})
	must(t, s.f.Poll(0))
	call := readOneFrame(t, s.file, 8)
	if len(call) != len(windowCall(1, 40, false, nil))+len(rpc.Strings("deadline", string(make([]byte, 16)))) {
		t.Errorf("the call is %q", call)
	}
	s.ends("")
}

// A part that is sent without credit waits until the child grants some, or for an end of the waiting.
func TestSendWaitsForCredit(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(s *goroutineStream)
		err  error
	}{
		{"credit", func(s *goroutineStream) { s.says(credit(1, 1)) }, nil},
		{"CloseSend", func(s *goroutineStream) { s.CloseSend() }, rpc.ErrNoInput},
		{"Cancel", func(s *goroutineStream) { s.Cancel() }, rpc.ErrCanceled},
		{"the answer", func(s *goroutineStream) { s.ends("") }, rpc.ErrDone},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Input: true, Window: 40})
			s.hears(windowCall(1, 40, true, nil))
			must(t, s.Send([]byte("0123456789")))
			s.hears(frame(partKind|1, "0123456789"))
			sent := make(chan error, 1)
			go func() { sent <- s.Send(nil) }()
			for range 1000 { // in which it could return
				runtime.Gosched()
				must(t, s.f.Poll(0))
			}
			if len(sent) > 0 {
				t.Error("Send has not waited")
			}
			test.end(s)
			var err error
			s.f.until(func() bool {
				select {
				case err = <-sent:
					return true
				default:
					s.f.Post(func() {}) // so that the loop asks again
					return false
				}
			})
			if err != test.err {
				t.Errorf("Send returned %v", err)
			}
		})
	}
}

// Also before the call has been made.
func TestSendNeedsAStreamWithInput(t *testing.T) {
	f := newFixture(t)
	transport, _ := f.stranger()
	s := f.client(transport, peer{}, rpc.Config{}).CallStream(t.Context(), rpc.StreamOptions{}, nil)
	sent := make(chan error, 1)
	go func() { sent <- s.Send(nil) }()
	select {
	case err := <-sent:
		if err != rpc.ErrNoInput {
			t.Errorf("Send returned %v", err)
		}
	case <-time.After(guard):
		t.Error("Send waits")
	}
	s.Cancel()
}

// CloseSend alone is news for the child.
func TestCloseSendIsTold(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Input: true, Window: 40})
	s.hears(windowCall(1, 40, true, nil))
	s.CloseSend()
	s.hears(frame(endKind|1, ""))
	s.ends("")
}

// A reply is wanted, and no parts: those that have come are granted, and gone.
func TestReplyGrantsThePartsThatHaveCome(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 30})
	s.hears(windowCall(1, 30, false, nil))
	s.says(frame(partKind|1, "0123456789") + frame(partKind|1, "0123456789") + frame(0xe0000000, ""))
	for range 3 {
		must(t, s.f.Poll(0))
	}
	replied := make(chan error, 1)
	go func() {
		_, err := s.Reply()
		replied <- err
	}()
	s.hears(credit(1, 36))
	s.ends("")
	must(t, <-replied)
	if parts, err := s.came(); len(parts) > 0 || err != nil {
		t.Errorf("afterwards there are %q, %v", parts, err)
	}
}

// Whoever wants the reply amid the parts has one of them in hand, without whose bytes the child may not go on.
func TestReplyAmidThePartsGrantsTheOneInHand(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 18})
	s.hears(windowCall(1, 18, false, nil))
	replied := make(chan error, 1)
	go func() {
		for range s.Parts() {
			if _, err := s.Reply(); err != nil {
				replied <- err
			}
		}
		close(replied)
	}()
	s.says(frame(partKind|1, "0123456789"))
	s.hears(credit(1, 18))
	s.ends("")
	must(t, <-replied)
	s.f.hearsNoMore(s.file)
}

// The reply is the caller's, whatever is read afterwards.
func TestReplyOfAStreamIsTheCallersOwn(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{})
	s.ends("first")
	reply, err := s.Reply()
	must(t, err)
	for id := range uint32(10) {
		must(t, s.c.GoBytes(nil, nil))
		s.says(frame(id+2, "other"))
		s.f.until(func() bool { return s.c.InFlight() == 0 })
	}
	if string(reply) != "first" {
		t.Errorf("the reply has become %q", reply)
	}
}

// What has come before a cancel is gone, and what comes before the child has heard of it.
func TestCancelDropsTheParts(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 1000})
	s.hears(windowCall(1, 1000, false, nil))
	s.says(frame(partKind|1, "one"))
	must(t, s.f.Poll(0))
	s.Cancel()
	s.says(frame(partKind|1, "two"))
	s.hears(frame(cancelKind|1, ""))
	if parts, err := s.came(); len(parts) > 0 || !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("there are %q, %v", parts, err)
	}
	s.ends("")
}

// A cancel that comes behind the answer changes nothing.
func TestCancelOfAnAnsweredStreamLeavesItsParts(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 1000})
	s.says(frame(partKind|1, "one") + frame(partKind|1, "two"))
	s.ends("")
	s.Cancel()
	if parts, err := s.came(); len(parts) != 2 || err != nil {
		t.Errorf("there are %q, %v", parts, err)
	}
}

// Streams that are cancelled while they wait for room are not made when there is some.
func TestStreamThatIsCancelledWhileItWaitsIsNotMade(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxInFlight: 1})
	_, err := file.WriteString(ourHello)
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) })
	f.begin(c)
	f.hears(file, len(clientHello+frame(1, "")))
	for range 3 { // the first makes room for others that stay in the queue
		s := c.CallStream(t.Context(), rpc.StreamOptions{}, nil)
		for rpc.Submitted(c) > 0 {
			must(t, f.Poll(0))
		}
		s.Cancel()
		must(t, f.Poll(0))
	}
	if !rpc.AnyWaiting(c) {
		t.Error("none of them waits any more")
	}
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	f.until(func() bool { return !rpc.AnyWaiting(c) })
	f.hearsNoMore(file)
	if n := c.InFlight(); n > 0 {
		t.Errorf("%d calls are in flight", n)
	}
}

// However a stream ends, its ctx holds it no longer.
func TestEndedStreamIsNotHeldByItsContext(t *testing.T) {
	for _, test := range []struct{ name, says string }{
		{"answered", ourHello + frame(1, "")},
		{"refused by the hello", hello},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			waiting := 0
			s := c.CallStream(countingContext{t.Context(), &waiting}, rpc.StreamOptions{}, nil)
			f.until(func() bool { return c.InFlight() == 1 })
			_, err := file.WriteString(test.says)
			must(t, err)
			f.until(func() bool { return c.InFlight() == 0 })
			if _, err := s.Reply(); (err == nil) != (test.says != hello) || waiting > 0 {
				t.Errorf("the stream ended with %v; %d wait for the ctx", err, waiting)
			}
			if test.says != hello {
				return
			}
			s = c.CallStream(countingContext{t.Context(), &waiting}, rpc.StreamOptions{}, nil)
			f.until(func() bool { return rpc.Submitted(c) == 0 })
			if _, err := s.Reply(); err != rpc.ErrNoStreams || waiting > 0 {
				t.Errorf("the next ended with %v; %d wait for the ctx", err, waiting)
			}
			c.Shutdown()
			s = c.CallStream(countingContext{t.Context(), &waiting}, rpc.StreamOptions{}, nil)
			if _, err := s.Reply(); err != rpc.ErrShutdown || waiting > 0 {
				t.Errorf("the last ended with %v; %d wait for the ctx", err, waiting)
			}
		})
	}
}

// What is longer than a frame may be is refused, and what is as long is not.
func TestSendRefusesWhatIsLongerThanAFrame(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxFrame: 100})
	_, err := file.WriteString(ourHello)
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) })
	s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, nil)
	f.until(func() bool { return rpc.MaySend(s) })
	if err := s.Send(make([]byte, 101)); err != rpc.ErrTooLarge {
		t.Errorf("Send returned %v", err)
	}
	must(t, s.Send(make([]byte, 100)))
	want := frame(partKind|1, string(make([]byte, 100)))
	if got := f.hears(file, len(clientHello+windowCall(1, 256<<10, true, nil)+want)); got[len(got)-len(want):] != want {
		t.Errorf("the child reads %q", got)
	}
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	f.until(func() bool { return c.InFlight() == 0 })
}

// What is not sent because of a cancel is not taken for sent: the end of the parts comes behind the cancel.
func TestCancelBehindCloseSendIsToldFirst(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Input: true, Window: 40})
	s.hears(windowCall(1, 40, true, nil))
	must(t, s.Send([]byte("0123456789")))
	s.CloseSend()
	s.Cancel()
	s.hears(frame(cancelKind|1, "") + frame(endKind|1, ""))
	s.ends("")
}

// Each part is granted once.
func TestPartsOfAStreamAreGrantedOnce(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 30})
	s.hears(windowCall(1, 30, false, nil))
	taken := make(chan error, 1)
	go func() {
		parts, err := s.came()
		if err == nil && len(parts) != 3 {
			err = errors.New("parts are missing")
		}
		taken <- err
	}()
	for range 3 {
		s.says(frame(partKind|1, "0123456789"))
		s.hears(credit(1, 18))
	}
	s.ends("")
	must(t, <-taken)
	s.f.hearsNoMore(s.file)
}

// A request without parts has no end of them.
func TestCloseSendOfAStreamWithoutInputIsNothing(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Window: 40})
	s.hears(windowCall(1, 40, false, nil))
	s.CloseSend()
	for range 3 {
		s.f.hearsNoMore(s.file)
	}
	s.ends("")
}

// However much the child grants, no more parts wait here for the buffer than high-water: those that wait already count.
func TestPartsThatWaitForTheBufferAreBounded(t *testing.T) {
	s := newGoroutineStream(t, t.Context(), rpc.StreamOptions{Input: true})
	s.says(credit(1, 1<<40))
	s.f.until(func() bool { return rpc.MaySend(s.Stream) })
	must(t, s.c.GoBytes(nil, make([]byte, 4<<20))) // of which a socket takes less
	part, sent := make([]byte, 100<<10), 0
	for rpc.MaySend(s.Stream) && sent <= 4<<20 {
		must(t, s.Send(part))
		sent += len(part)
		must(t, s.f.Poll(0))
	}
	if sent > 1<<20+len(part) {
		t.Errorf("%d bytes wait", sent)
	}
	s.Cancel()
	s.says(frame(1, "") + frame(2, ""))
	s.f.until(func() bool { return s.c.InFlight() == 0 })
}
