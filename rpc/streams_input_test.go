package rpc_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evfork/evfork/rpc"
)

func TestPartsOfARequestComeInTheirOrder(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 10_000
		c := f.connect(p, rpc.Config{})
		f.background()
		for _, size := range []int{0, 1, 1000, 40_000} {
			s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, request("sum"))
			for i := range 100 {
				must(t, s.Send(partOf(i, size)))
			}
			s.CloseSend()
			s.CloseSend()
			reply, err := s.Reply()
			must(t, err)
			if want := string(request(100, 100*size)); string(reply) != want {
				t.Errorf("parts of %d bytes: the reply is %q", size, reply)
			}
			if err := s.Send(nil); err != rpc.ErrDone {
				t.Errorf("Send after the reply returned %v", err)
			}
		}
	})
}

// Both directions at once, with windows that are smaller than a part.
func TestPartsGoBothWays(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 100
		c := f.connect(p, rpc.Config{})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true, Window: 50}, request("pipe"))
		const parts, size = 300, 200
		sent := make(chan error, 1)
		go func() {
			for i := range parts {
				if err := s.Send(partOf(i, size)); err != nil {
					sent <- err
					return
				}
			}
			s.CloseSend()
			sent <- nil
		}()
		n := 0
		for part, err := range s.Parts() {
			must(t, err)
			if !bytes.Equal(part, partOf(n, size)) {
				t.Fatalf("part %d is %.20q", n, part)
			}
			n++
		}
		must(t, <-sent)
		if reply, err := s.Reply(); err != nil || n != parts || string(reply) != string(request(parts, parts*size)) {
			t.Errorf("%d parts, reply %q, %v", n, reply, err)
		}
	})
}

// A child that has answered takes no more, and drops what was underway.
func TestAnswerBeforeTheEndOfTheInput(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 100
		c := f.connect(p, rpc.Config{})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, request("echo", "at once"))
		var err error
		for err == nil {
			err = s.Send([]byte("one more"))
		}
		if err != rpc.ErrDone {
			t.Errorf("Send returned %v", err)
		}
		if reply, err := s.Reply(); err != nil || string(reply) != "\x07at once" {
			t.Errorf("the reply is %q, %v", reply, err)
		}
		if reply, err := c.Call(t.Context(), "echo", "still"); err != nil || string(reply) != "\x05still" {
			t.Errorf("the next call: %q, %v", reply, err)
		}
	})
}

func TestPartsNeedACallWithInput(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("goroutines"), rpc.Config{})
	f.background()
	s := c.CallStream(t.Context(), rpc.StreamOptions{}, request("sum")) // which has no part, and ends at once
	if err := s.Send(nil); err != rpc.ErrNoInput && err != rpc.ErrDone {
		t.Errorf("Send returned %v", err)
	}
	if reply, err := s.Reply(); err != nil || string(reply) != string(request(0, 0)) {
		t.Errorf("the reply is %q, %v", reply, err)
	}
	s = c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, request("sum"))
	if err := s.Send(make([]byte, 64<<20+1)); err != rpc.ErrTooLarge {
		t.Errorf("Send returned %v", err)
	}
	s.CloseSend()
	if err := s.Send(nil); err != rpc.ErrNoInput && err != rpc.ErrDone {
		t.Errorf("Send returned %v", err)
	}
	if _, err := s.Reply(); err != nil {
		t.Error(err)
	}
}

// A plain call has neither.
func TestPartsOfAPlainCallAreNone(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		if reply, err := f.ask(c, "sum"); err != nil || fmt.Sprint(reply) != "[0 0]" {
			t.Errorf("%q, %v", reply, err)
		}
	})
}

// roomy is a sender on the loop.
type roomy struct {
	partial
	rooms int
	fn    func()
}

func (r *roomy) Room() {
	r.rooms++
	r.fn()
}

func TestSendOnTheLoopIsFullUntilThereIsRoom(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.window = 1000
		c := f.connect(p, rpc.Config{})
		r := &roomy{}
		s, err := c.GoStream(r, rpc.StreamOptions{Input: true}, request("pipe"))
		must(t, err)
		const parts, size = 200, 300
		n, fulls := 0, 0
		r.fn = func() {
			for n < parts {
				switch err := s.Send([]byte(rpc.Strings(string(partOf(n, size-2))))); err {
				case nil:
					n++
				case rpc.ErrFull:
					fulls++
					return
				default:
					t.Fatal(err)
				}
			}
			s.CloseSend()
		}
		r.fn()
		f.until(r.ended)
		if r.err != nil || fmt.Sprint(r.reply) != fmt.Sprint([]int{parts, parts * size}) || len(r.parts) != parts {
			t.Errorf("%d parts, %q, %v", len(r.parts), r.reply, r.err)
		}
		if fulls != r.rooms || fulls < parts*size/(1000+size) {
			t.Errorf("%d times ErrFull, %d times Room", fulls, r.rooms)
		}
		if err := s.Send(nil); err != rpc.ErrDone {
			t.Errorf("Send after the end returned %v", err)
		}
	})
}

// The parent sends until its credit is not positive any more, then the end.
func TestClientSendsNoMorePartsThanItHasCreditFor(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	r := &roomy{fn: func() {}}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true, Window: 7}, nil)
	must(t, err)
	if err := s.Send(nil); err != rpc.ErrFull {
		t.Errorf("Send before the hello returned %v", err)
	}
	_, err = file.WriteString(frame(helloWord, "\x06evfork\x011\x08features\x10metadata credits\x06window\x0220"))
	must(t, err)
	f.until(func() bool { return r.rooms == 1 })
	must(t, s.Send([]byte("0123456789"))) // 18 of 20
	must(t, s.Send([]byte("0123456789"))) // 2 of 20 are left
	if err := s.Send(nil); err != rpc.ErrFull {
		t.Errorf("Send without credit returned %v", err)
	}
	part := frame(partKind|1, "0123456789")
	want := clientHello + windowCall(1, 7, true, nil) + part + part
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(credit(1, 16) + credit(2, 100)) // still not positive, and another's
	must(t, err)
	must(t, f.Poll(0))
	if r.rooms != 1 {
		t.Error("Room was called without credit")
	}
	_, err = file.WriteString(credit(1, 1))
	must(t, err)
	f.until(func() bool { return r.rooms == 2 })
	must(t, s.Send(nil))
	s.CloseSend()
	want = frame(partKind|1, "") + frame(endKind|1, "")
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	_, err = file.WriteString(frame(1, ""))
	must(t, err)
	f.until(r.ended)
	f.hearsNoMore(file)
	if r.rooms != 2 {
		t.Errorf("Room was called %d times", r.rooms)
	}
}

// Also of a call that has been answered or cancelled the child is told the end of the input, once.
func TestEndOfTheInputIsToldWhateverBecomesOfTheCall(t *testing.T) {
	for _, how := range []string{"answered", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t)
			transport, file := f.stranger()
			c := f.client(transport, peer{}, rpc.Config{})
			var w partial
			s, err := c.GoStream(&w, rpc.StreamOptions{Input: true, Window: 7}, nil)
			must(t, err)
			_, err = file.WriteString(ourHello)
			must(t, err)
			want := clientHello + windowCall(1, 7, true, nil)
			f.hears(file, len(want))
			if how == "cancelled" {
				s.Cancel()
				want = frame(0x30000001, "") + frame(endKind|1, "")
			} else {
				_, err = file.WriteString(frame(1, ""))
				must(t, err)
				want = frame(endKind|1, "")
			}
			if got := f.hears(file, len(want)); got != want {
				t.Errorf("the child reads %q\nnot %q", got, want)
			}
			s.CloseSend()
			f.hearsNoMore(file)
			f.until(w.ended)
		})
	}
}

func TestServersRefuseBadParts(t *testing.T) {
	call := windowCall(1, 0, true, request("count", 1, 1)) // waits for credit, and takes no parts
	for _, test := range []struct{ name, in, says string }{
		{"without credit", call + frame(partKind|1, "01234567890123456789") + frame(partKind|1, ""), "part of call 1, whose credit is used up"},
		{"with none left", call + frame(partKind|1, "01") + frame(partKind|1, ""), "part of call 1, whose credit is used up"},
		{"no call", frame(partKind|2, ""), "part of call 2, which takes none"},
		{"no input", windowCall(1, 100, false, request("sum")) + frame(partKind|1, ""), "part of call 1, which takes none"},
		{"two ends", call + frame(endKind|1, "") + frame(endKind|1, ""), "part of call 1"},
	} {
		for _, server := range []string{"sync", "async", "goroutines"} {
			t.Run(server+"/"+test.name, func(t *testing.T) {
				newFixture(t)
				_, err := serveRaw(t, peer{server: server, window: 10}, clientHello+test.in)
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("the server returned %v", err)
				}
			})
		}
	}
}

// What was taken is granted when it is half of the window, and not before.
func TestServersGrantWhatWasTaken(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t)
			part := frame(partKind|1, "0123456789") // costs 18
			in := clientHello + windowCall(1, 100, true, request("sum")) + part + part + part + frame(partKind|1, "")
			out, err := serveRaw(t, peer{server: server, window: 72}, in)
			must(t, err)
			if !strings.Contains(out, credit(1, 36)) || strings.Count(out, "\x60\x00\x00\x01") != 1 {
				t.Errorf("the server says %q", out)
			}
		})
	}
}

// A parent that goes away before the end of the parts ends the waiting for them.
func TestInputThatEndsBeforeThePartsFailsTheCall(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t)
			out, err := serveRaw(t, peer{server: server}, clientHello+windowCall(1, 100, true, request("sum"))+frame(partKind|1, "x"))
			must(t, err)
			if !strings.Contains(out, "the parent has closed its side") && !strings.Contains(out, "cancel") {
				t.Errorf("the server says %q", out)
			}
		})
	}
}

// Calls that come while a handler waits for parts are answered, in the end or meanwhile.
func TestCallsBetweenThePartsAreAnswered(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		p.limit, p.concurrent, p.window = 1, 1, 100
		c := f.connect(p, rpc.Config{})
		r := &roomy{}
		s, err := c.GoStream(r, rpc.StreamOptions{Input: true}, request("sum"))
		must(t, err)
		var calls []*result
		const parts = 3000 // with 3 MB of calls between them
		n, refused := 0, 0
		r.fn = func() {
			for ; n < parts; n++ {
				if err := s.Send([]byte("part")); err == rpc.ErrFull {
					return
				} else if err != nil {
					t.Fatal(err)
				}
				call := &result{}
				if err := c.GoTo(call, "echo", strings.Repeat("x", 1000)); err == rpc.ErrFull {
					refused++ // the child wants no calls for now
				} else if err != nil {
					t.Fatal(err)
				} else {
					calls = append(calls, call)
				}
			}
			s.CloseSend()
		}
		r.fn()
		f.until(func() bool { return r.ended() && c.InFlight() == 0 })
		if r.err != nil || r.reply[0] != fmt.Sprint(parts) {
			t.Errorf("the reply is %q, %v", r.reply, r.err)
		}
		if len(calls) < 700 || refused < 700 {
			t.Errorf("%d calls were made, %d refused", len(calls), refused)
		}
		ready := false // when the child, which may have answered all before, says that it wants calls again
		must(t, c.WaitReady(func() { ready = true }))
		f.until(func() bool { return ready })
		f.works(c)
		for i, call := range calls {
			if call.err != nil || call.ends != 1 {
				t.Fatalf("call %d ended %d times, with %v", i, call.ends, call.err)
			}
		}
	})
}

func TestNoPartsOutsideAHandler(t *testing.T) {
	for part, err := range rpc.Parts(t.Context()) {
		t.Errorf("there is %q, %v", part, err)
	}
	if !errors.Is(rpc.SendPart(t.Context(), nil), rpc.ErrNoParts) {
		t.Error("SendPart does not refuse")
	}
}
