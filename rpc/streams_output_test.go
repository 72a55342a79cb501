package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// eachStreamServer runs a test against the servers, here and in a process.
func eachStreamServer(t *testing.T, test func(t *testing.T, p peer)) {
	for _, transport := range []string{"pipes", "socketpair"} {
		for _, server := range []string{"sync", "async", "goroutines"} {
			p := peer{transport: transport, server: server}
			t.Run(p.String(), func(t *testing.T) { test(t, p) })
		}
	}
}

func TestPartsAreRangedOverInTheirOrder(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		f.background()
		for _, size := range []int{0, 1, 1000, 40_000} {
			s := c.CallStream(t.Context(), rpc.StreamOptions{Window: 10_000}, request("count", 100, size))
			n := 0
			for part, err := range s.Parts() {
				must(t, err)
				if !bytes.Equal(part, partOf(n, size)) {
					t.Fatalf("part %d of %d bytes is %.20q", n, size, part)
				}
				n++
			}
			reply, err := s.Reply()
			must(t, err)
			if n != 100 || string(reply) != "\x03100" {
				t.Errorf("%d parts of %d bytes, reply %q", n, size, reply)
			}
		}
	})
}

// The child sends until its credit is not positive any more, and goes on when there is more.
func TestServerSendsNoMorePartsThanItHasCreditFor(t *testing.T) {
	const left = "rpc: the parent has closed its side: unexpected EOF"
	lost := (&rpc.LostError{Cause: errors.New(left), Started: true}).Error() // as Done.Part's documentation says
	for server, end := range map[string]string{"sync": left, "async": lost, "goroutines": left} {
		for _, test := range []struct{ window, credit, want int }{
			{0, 0, 0}, {1, 0, 1}, {18, 0, 1}, {19, 0, 2}, {1, 17, 1}, {1, 18, 2}, {1000, 0, 10}, {18, 1000, 10},
		} {
			t.Run(fmt.Sprint(server, "/", test.window, "+", test.credit), func(t *testing.T) {
				newFixture(t)
				in := clientHello + windowCall(1, uint64(test.window), false, request("count", 10, 10))
				if test.credit > 0 {
					in += credit(1, uint64(test.credit))
				}
				out, err := serveRaw(t, peer{server: server}, in)
				must(t, err)
				want := ""
				for i := range test.want {
					want += frame(partKind|1, string(partOf(i, 10)))
				}
				if test.want == 10 {
					want += frame(1, "\x0210")
				} else {
					want += frame(errorKind|1, string(rpc.Strings(end, rpc.KindError, "")))
				}
				if out = strings.TrimPrefix(out, ourHello); out != want {
					t.Errorf("is  %q\nnot %q", out, want)
				}
			})
		}
	}
}

// A child that does not keep to its credit would fill the parent's memory.
func TestPartWithoutCreditIsAViolation(t *testing.T) {
	for _, window := range []int{20, 24} { // two parts use up 24
		f := newFixture(t)
		transport, file := f.stranger()
		c := f.client(transport, peer{}, rpc.Config{})
		var r partial
		s, err := c.GoStream(&r, rpc.StreamOptions{Window: window}, nil)
		must(t, err)
		s.Pause()
		_, err = file.WriteString(ourHello + frame(partKind|1, "\x03one") + frame(partKind|1, "\x03two") + frame(partKind|1, ""))
		must(t, err)
		f.until(r.ended)
		wantViolation(t, r.err, "call 1, whose credit is used up")
		if fmt.Sprint(r.parts) != "[one two]" {
			t.Errorf("the parts are %q", r.parts)
		}
	}
}

// What was taken is granted when it is half of the window, and not before.
func TestTakenPartsAreGrantedAgain(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	var r partial
	s, err := c.GoStream(&r, rpc.StreamOptions{Window: 40}, []byte("\x01x"))
	must(t, err)
	hear := func(want string) {
		t.Helper()
		if got := f.hears(file, len(want)); got != want {
			t.Fatalf("the child reads %q, not %q", got, want)
		}
	}
	send := func(frames string, parts int) {
		t.Helper()
		_, err := file.WriteString(frames)
		must(t, err)
		f.until(func() bool { return len(r.parts) == parts })
		must(t, f.Poll(0))
	}
	part := frame(partKind|1, "\x09a part of") // costs 18
	_, err = file.WriteString(ourHello)
	must(t, err)
	hear(clientHello + windowCall(1, 40, false, []byte("\x01x")))
	send(part, 1)
	if n := heard(file); n != 0 {
		t.Errorf("%d bytes were sent for a part of less than half of the window", n)
	}
	send(part, 2)
	hear(credit(1, 36))
	s.Pause()
	send(part+part, 4)
	if n := heard(file); n != 0 {
		t.Errorf("%d bytes were sent while the stream was paused", n)
	}
	s.Resume()
	hear(credit(1, 36))
	s.Resume() // has nothing to grant
	f.hearsNoMore(file)
}

// A sequence that is left early cancels the call, and the child goes on with others.
func TestLeavingTheSequenceEarlyCancelsTheCall(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Window: 100}, request("count", 1_000_000, 10))
		n := 0
		for _, err := range s.Parts() {
			must(t, err)
			if n++; n == 20 {
				break
			}
		}
		if _, err := s.Reply(); !errors.Is(err, rpc.ErrCanceled) {
			t.Errorf("the reply is %v", err)
		}
		for part, err := range s.Parts() {
			if part != nil || !errors.Is(err, rpc.ErrCanceled) {
				t.Errorf("afterwards there is %q, %v", part, err)
			}
		}
		reply, err := c.Call(t.Context(), "echo", "still")
		if err != nil || string(reply) != "\x05still" {
			t.Errorf("the next call: %q, %v", reply, err)
		}
	})
}

// As by a panic of the body.
func TestPanicInTheSequenceCancelsTheCall(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("goroutines"), rpc.Config{})
	f.background()
	s := c.CallStream(t.Context(), rpc.StreamOptions{Window: 100}, request("count", 1_000_000, 10))
	func() {
		defer func() { recover() }()
		for range s.Parts() {
			panic("enough")
		}
	}()
	if _, err := s.Reply(); !errors.Is(err, rpc.ErrCanceled) {
		t.Errorf("the reply is %v", err)
	}
}

func TestReplyDropsThePartsThatNobodyRangesOver(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Window: 100}, request("count", 500, 10))
		if reply, err := s.Reply(); err != nil || string(reply) != "\x03500" {
			t.Errorf("the reply is %q, %v", reply, err)
		}
	})
}

// The error of a handler comes behind its parts, and is the reply, too.
func TestErrorComesBehindTheParts(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{}, request("count and fail", 3, 10))
		var errs []error
		n := 0
		for part, err := range s.Parts() {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			n += len(part)
		}
		_, err := s.Reply()
		var remote *rpc.RemoteError
		if n != 30 || len(errs) != 1 || errs[0] != err || !errors.As(err, &remote) || remote.Message != "as told" {
			t.Errorf("%d bytes, errors %v, reply %v", n, errs, err)
		}
	})
}

func TestStreamedCallNeedsAChildThatHasThem(t *testing.T) {
	for _, test := range []struct {
		name  string
		wire  rpc.Wire
		hello string
	}{
		{"anyevent-async", rpc.AnyEventAsync, ""},
		{"anyevent-sync", rpc.AnyEventSync, ""},
		{"no features", rpc.Evfork, hello},
		{"no metadata", rpc.Evfork, frame(helloWord, "\x06evfork\x011\x08features\x07credits")},
		{"no credits", rpc.Evfork, frame(helloWord, "\x06evfork\x011\x08features\x08metadata")},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{wire: test.wire}, rpc.Config{})
			r := &result{}
			_, err := c.GoStream(r, rpc.StreamOptions{}, nil) // before the hello
			if test.wire != rpc.Evfork {
				if err != rpc.ErrNoStreams {
					t.Errorf("GoStream returned %v", err)
				}
				return
			}
			must(t, err)
			_, err = file.WriteString(test.hello)
			must(t, err)
			f.until(r.ended)
			if r.err != rpc.ErrNoStreams || r.ends != 1 || c.InFlight() != 0 {
				t.Errorf("the call ended %d times, with %v", r.ends, r.err)
			}
			if _, err := c.GoStream(r, rpc.StreamOptions{}, nil); err != rpc.ErrNoStreams {
				t.Errorf("GoStream returned %v", err)
			}
		})
	}
}

// One that is cancelled before the hello is never sent.
func TestStreamedCallWaitsForTheHello(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	first, second := &result{}, &result{}
	s, err := c.GoStream(first, rpc.StreamOptions{}, []byte("\x05first"))
	must(t, err)
	_, err = c.GoStream(second, rpc.StreamOptions{Window: 1000}, []byte("\x06second"))
	must(t, err)
	if !s.Cancel() || s.Cancel() {
		t.Error("Cancel reports the wrong thing")
	}
	f.until(first.ended)
	if !errors.Is(first.err, rpc.ErrCanceled) || c.InFlight() != 1 {
		t.Errorf("the call ended with %v, %d are in flight", first.err, c.InFlight())
	}
	_, err = file.WriteString(ourHello)
	must(t, err)
	want := clientHello + windowCall(2, 1000, false, []byte("\x06second"))
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(frame(2, "\x04done"))
	must(t, err)
	f.until(second.ended)
	if second.err != nil || second.reply[0] != "done" {
		t.Errorf("the call ended with %q, %v", second.reply, second.err)
	}
}

func TestStreamedCallWaitsForRoom(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{MaxInFlight: 2})
		f.background()
		var streams []*rpc.Stream
		for range 20 {
			streams = append(streams, c.CallStream(t.Context(), rpc.StreamOptions{}, request("count", 5, 10)))
		}
		for _, s := range streams {
			if reply, err := s.Reply(); err != nil || string(reply) != "\x015" {
				t.Errorf("the reply is %q, %v", reply, err)
			}
		}
	})
}

func TestStreamWithAnEndedContextIsNotMade(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("sync"), rpc.Config{})
	f.works(c)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	s := c.CallStream(ctx, rpc.StreamOptions{Input: true}, nil)
	_, err := s.Reply()
	if !errors.Is(err, rpc.ErrCanceled) || !errors.Is(err, cause) {
		t.Errorf("the reply is %v", err)
	}
	if err2 := s.Send(nil); err2 != err {
		t.Errorf("Send returned %v", err2)
	}
	if n := rpc.Submitted(c); n > 0 {
		t.Error("the loop is told of the call")
	}
}

// Several goroutines of one handler may wait for credit: what comes is enough for all, and wakes all.
func TestCreditWakesAllThatWaitForIt(t *testing.T) {
	const senders = 4
	var sending sync.WaitGroup
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 0, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		var sent sync.WaitGroup
		for range senders {
			sent.Go(func() {
				sending.Done()
				if err := rpc.SendPart(ctx, nil); err != nil {
					t.Error(err)
				}
			})
		}
		sent.Wait()
		return nil, nil
	})
	_, err := file.WriteString(strangersHello)
	must(t, err)
	expect(t, file, ourHello)
	for id := range uint32(50) {
		sending.Add(senders)
		_, err := file.WriteString(windowCall(id+1, 0, false, nil))
		must(t, err)
		sending.Wait() // they wait for credit, or will
		_, err = file.WriteString(credit(id+1, senders*8))
		must(t, err)
		expect(t, file, strings.Repeat(frame(partKind|(id+1), ""), senders)+frame(id+1, ""))
	}
}

// So does the end of the parent's side, after which no credit can come.
func TestEndOfTheParentWakesAllThatWaitForCredit(t *testing.T) {
	const senders = 4
	var sending sync.WaitGroup
	sending.Add(senders)
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 0, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		var sent sync.WaitGroup
		for range senders {
			sent.Go(func() {
				sending.Done()
				if err := rpc.SendPart(ctx, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("a part without credit: %v", err)
				}
			})
		}
		sent.Wait()
		return nil, nil
	})
	_, err := file.WriteString(strangersHello)
	must(t, err)
	expect(t, file, ourHello)
	_, err = file.WriteString(windowCall(1, 0, false, nil))
	must(t, err)
	sending.Wait() // they wait for credit, or will
	must(t, unix.Shutdown(int(file.Fd()), unix.SHUT_WR))
	expect(t, file, frame(1, ""))
}
