package rpc_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// serveAsyncRaw runs an async server on the fixture's loop on input, and returns what it wrote. No streamed call may be left, and no
// handler panic.
func serveAsyncRaw(f *fixture, config rpc.ServerConfig, input string, handler rpc.AsyncHandler) string {
	t := f.t
	t.Helper()
	ours, theirs := socketpair(t)
	file, out := fileOf(ours), make(chan string, 1)
	defer file.Close()
	_, err := file.WriteString(input)
	must(t, err)
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	go func() { out <- readToEnd(file) }()
	server, err := rpc.NewServer(sameFD(theirs), config)
	must(t, err)
	must(t, server.ServeAsync(f.Loop, handler))
	if n := rpc.StreamedCalls(server); n != 0 {
		t.Errorf("%d streamed calls are open at the end", n)
	}
	said := <-out
	if strings.Contains(said, rpc.KindPanic) {
		t.Errorf("a handler has panicked: %q", said)
	}
	return said
}

// A Done is of no use any more when its call has been answered: nothing it is told reaches the next call, which has its place.
func TestDoneOfAnAnsweredCallIsTheNextCallsInNothing(t *testing.T) {
	f := newFixture(t)
	never := func() { t.Error("a function of a call that was answered was called") }
	calls, told := 0, 0
	serveAsyncRaw(f, rpc.ServerConfig{}, strangersHello+frame(1, "")+limitedCall(2, 0), func(_ rpc.Payload, done rpc.Done) {
		if calls++; calls == 1 {
			done.OnRoom(never) // there is room, which is told in a moment
			done.PauseParts()  // of which there are none
			done.ResumeParts()
			must(t, done.Reply())
			done.OnRoom(never)
			done.OnParts(func(rpc.Payload) { never() }, never)
			return
		}
		must(t, done.PartBytes([]byte("part")))
		if err := done.PartBytes(nil); err != rpc.ErrFull {
			t.Errorf("PartBytes without credit returned %v", err)
		}
		done.OnRoom(func() {
			told++
			if err := done.PartBytes(nil); err == nil || err == rpc.ErrFull {
				t.Errorf("after the EOF PartBytes returned %v", err)
			}
			must(t, done.Reply())
		})
	})
	if calls != 2 || told != 1 {
		t.Errorf("%d calls, of which one was told %d times of room", calls, told)
	}
}

// OnRoom tells once, of the room that there is, whom it was asked by last.
func TestOnRoomTellsOfTheRoomThereIs(t *testing.T) {
	f := newFixture(t)
	var told []int
	tell := func(i int) func() { return func() { told = append(told, i) } }
	calls := 0
	serveAsyncRaw(f, rpc.ServerConfig{}, strangersHello+frame(1, "")+frame(2, ""), func(_ rpc.Payload, done rpc.Done) {
		calls++
		done.OnRoom(tell(calls))
		if calls == 1 {
			done.OnRoom(nil)
		} else {
			done.OnRoom(tell(3))
		}
		if len(told) > 0 {
			t.Error("a function was called inside OnRoom")
		}
		must(t, f.Post(func() { must(t, f.Post(func() { must(t, done.Reply()) })) }))
	})
	if fmt.Sprint(told) != "[3]" {
		t.Errorf("told were %v", told)
	}
}

// Credit that is not enough is no room.
func TestOnRoomWaitsForEnoughCredit(t *testing.T) {
	r := &untiring{f: newFixture(t)}
	part := frame(partKind|1, "part") // costs 12 of 1
	out, err := r.serve(strangersHello+limitedCall(1, 0)+credit(1, 5)+credit(1, 6)+credit(1, 1), len(ourHello+part+part))
	must(t, err)
	if n := strings.Count(out, part); n != 2 || r.told != 2 { // of the credit, and of the EOF
		t.Errorf("%d parts were sent, and the handler was told %d times", n, r.told)
	}
}

// A handler whose parts the pipe does not take is told when it does.
func TestOnRoomTellsOfRoomInThePipe(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin func(rpc.Done)
	}{
		{"plain", func(rpc.Done) {}},
		{"asking for parts", func(done rpc.Done) { done.OnParts(nil, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) { testRoomInThePipe(t, c.begin) })
	}
}

func testRoomInThePipe(t *testing.T, begin func(rpc.Done)) {
	f := newFixture(t)
	const parts, size = 300, 10_000
	sent, fulls := 0, 0
	out := serveAsyncRaw(f, rpc.ServerConfig{MaxBuffered: 50_000}, strangersHello+frame(1, ""), func(_ rpc.Payload, done rpc.Done) {
		begin(done)
		var send func()
		send = func() {
			for first := sent; sent < parts; sent++ {
				if err := done.PartBytes(make([]byte, size)); err == rpc.ErrFull {
					if fulls++; sent == first {
						t.Error("no part fits though there is room")
					}
					done.OnRoom(send)
					return
				} else if err != nil {
					t.Error(err)
				}
			}
			must(t, done.Reply())
		}
		send()
	})
	if want := len(ourHello) + parts*len(frame(1, strings.Repeat("x", size))) + len(frame(1, "")); len(out) != want || fulls == 0 {
		t.Errorf("%d bytes were sent instead of %d, and the pipe was full %d times", len(out), want, fulls)
	}
}

// What a handler takes when it has answered is granted to nobody.
func TestPartTakenAfterTheAnswerIsNotGranted(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + windowCall(1, 100, true, nil) + frame(partKind|1, "0123456789") + frame(endKind|1, "")
	out := serveAsyncRaw(f, rpc.ServerConfig{Window: 10}, in, func(_ rpc.Payload, done rpc.Done) {
		done.OnParts(func(rpc.Payload) { must(t, done.Reply()) }, nil)
	})
	if want := frame(1, ""); !strings.HasSuffix(out, want) || strings.Contains(out, "\x60\x00\x00\x01") {
		t.Errorf("the server says %q", out)
	}
}

// A handler that answers as it takes a part is told neither of the others nor of their end.
func TestPartsBehindTheAnswerAreNotDelivered(t *testing.T) {
	f := newFixture(t)
	part := frame(partKind|2, "part")
	in := strangersHello + frame(1, "first") + windowCall(2, 100, true, nil) + part + part + frame(endKind|2, "")
	parts := 0
	serveAsyncRaw(f, rpc.ServerConfig{MaxConcurrent: 1}, in, func(request rpc.Payload, done rpc.Done) {
		if string(request) == "first" { // behind which all the rest waits
			must(t, f.Post(func() { must(t, done.Reply()) }))
			return
		}
		done.OnParts(func(rpc.Payload) { parts++; must(t, done.Reply()) }, func() { t.Error("the end of the parts was told behind the answer") })
	})
	if parts != 1 {
		t.Errorf("%d parts were delivered", parts)
	}
}

// What an answered call's Done is told reaches no other call: its parts are granted.
func TestPauseOfAnAnsweredCallPausesNoOther(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + windowCall(1, 100, true, nil) + frame(endKind|1, "") + windowCall(2, 100, true, nil) + credit(2, 5) + frame(partKind|2, "0123456789") + frame(endKind|2, "")
	var answered rpc.Done
	out := serveAsyncRaw(f, rpc.ServerConfig{Window: 10}, in, func(_ rpc.Payload, done rpc.Done) {
		if answered == (rpc.Done{}) {
			answered = done
			must(t, done.Reply())
			return
		}
		done.OnParts(func(rpc.Payload) {}, func() { must(t, done.Reply()) })
		answered.PauseParts()
	})
	if !strings.Contains(out, credit(2, 18)) {
		t.Errorf("the server says %q", out)
	}
}

// Credit that comes for a call whose handler does not wait for it changes nothing, nor does the end of the parent's side
// when the parts have ended: one that lacks some is told then.
func TestEndOfTheParentsSideIsToldToWhomItConcerns(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + windowCall(1, 100, true, nil) + frame(endKind|1, "") + credit(1, 5) + windowCall(2, 100, true, nil) + frame(3, "")
	var open []rpc.Done
	told := 0
	serveAsyncRaw(f, rpc.ServerConfig{}, in, func(_ rpc.Payload, done rpc.Done) {
		open = append(open, done)
		call := len(open)
		done.OnCancel(func(err error) {
			if told++; call != 2 {
				t.Errorf("call %d is told %v", call, err)
			}
			for _, done := range open {
				must(t, done.Reply())
			}
		})
	})
	if told != 1 {
		t.Errorf("%d calls were told", told)
	}
}

// Whoever asks for room once nobody waits for the call is told, too.
func TestOnRoomOfACancelledCallIsToldSoon(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(strangersHello + limitedCall(1, 0) + frame(cancelKind|1, ""))
	must(t, err)
	told, inside := 0, false
	must(t, rpc.ServeAsync(sameFD(theirs), f.Loop, func(_ rpc.Payload, done rpc.Done) {
		must(t, done.PartBytes(nil)) // all its credit
		room := func() {
			if told++; inside {
				t.Error("it was told inside OnRoom")
			}
			if err := done.PartBytes(nil); err != rpc.ErrCanceled {
				t.Errorf("PartBytes returned %v", err)
			}
			must(t, done.Reply())
			must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
		}
		done.OnCancel(func(error) {
			must(t, f.Post(func() {
				inside = true
				done.OnRoom(room)
				inside = false
			}))
		})
	}))
	if told != 1 {
		t.Errorf("it was told %d times", told)
	}
}

// A streamed call that is cancelled before it was begun is open no more.
func TestStreamInTheBacklogThatIsCancelledIsForgotten(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + frame(1, "") + windowCall(2, 100, true, nil) + frame(cancelKind|2, "") + frame(endKind|2, "")
	out := serveAsyncRaw(f, rpc.ServerConfig{MaxConcurrent: 1}, in, func(_ rpc.Payload, done rpc.Done) {
		must(t, f.Post(func() { must(t, done.Reply()) }))
	})
	if !strings.Contains(out, rpc.ErrCanceled.Error()) || !strings.Contains(out, frame(1, "")) {
		t.Errorf("the server says %q", out)
	}
}

// A parent may give no window: then the parts of the reply need no credit.
func TestPartsOfACallWithInputAloneNeedNoCredit(t *testing.T) {
	part := strings.Repeat("x", 1000)
	in := strangersHello + frame(metaKind|1, string(rpc.Strings(string(rpc.Strings("input", ""))))+string(request("pipe")))
	for range 3 {
		in += frame(partKind|1, part)
	}
	in += frame(endKind|1, "")
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			newFixture(t)
			out, err := serveRaw(t, peer{server: server}, in)
			must(t, err)
			if n := strings.Count(out, frame(partKind|1, part)); n != 3 || !strings.Contains(out, frame(1, string(request(3, 3000)))) {
				t.Errorf("%d parts came back; the server says %.100q", n, out)
			}
		})
	}
}

// The calls of a child have no parts: to a handler in the parent they are through, and there is room.
func TestPartsOfACallOfTheChildAreThrough(t *testing.T) {
	f := newFixture(t)
	var told []string
	calls, inside := 0, false
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{OnCall: func(_ rpc.Payload, done rpc.Done) {
		calls++
		tell := func(what string) func() {
			call := calls
			return func() {
				told = append(told, fmt.Sprint(what, call))
				if inside || call == 2 {
					t.Errorf("%s of call %d was told, inside: %v", what, call, inside)
				}
				if what == "end" {
					must(t, done.Reply())
				}
			}
		}
		inside = true
		if calls == 3 {
			done.OnParts(nil, nil)
		}
		done.OnRoom(tell("room"))
		done.OnParts(func(rpc.Payload) { t.Error("a part has come") }, tell("end"))
		if calls == 2 {
			must(t, done.Reply())
		}
		inside = false
	}})
	_, err := file.WriteString(hello + frame(upcallKind|1, "") + frame(upcallKind|2, "") + frame(upcallKind|3, ""))
	must(t, err)
	f.until(func() bool { return len(told) == 4 })
	must(t, f.Poll(0))
	if fmt.Sprint(told) != "[room1 end1 room3 end3]" {
		t.Errorf("told was %v", told)
	}
	must(t, file.Close())
	f.until(func() bool { return c.Go(nil) != nil })
}

// What comes for a call in the backlog waits with it.
func TestPartsOfACallInTheBacklogWaitForItsHandler(t *testing.T) {
	f := newFixture(t)
	in := strangersHello + frame(1, "first") + windowCall(2, 100, true, nil) + frame(partKind|2, "a") + frame(partKind|2, "b") + frame(endKind|2, "")
	var seen []string
	out := serveAsyncRaw(f, rpc.ServerConfig{MaxConcurrent: 1, Window: 20}, in, func(request rpc.Payload, done rpc.Done) {
		if string(request) == "first" {
			must(t, f.Post(func() { must(t, done.Reply()) }))
			return
		}
		done.OnParts(func(part rpc.Payload) { seen = append(seen, string(part)) }, func() { must(t, done.Reply()) })
	})
	if fmt.Sprint(seen) != "[a b]" {
		t.Errorf("the handler has seen %q", seen)
	}
	if strings.Contains(out, "\x60\x00\x00\x02") {
		t.Errorf("credit is granted behind the end of the parts: %q", out)
	}
}
