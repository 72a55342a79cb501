package rpc_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// What the Done of a call tells of its end, to a parent that tells nothing but what it says.

// A handler hears of the deadline, and of a cancel, also if it first asks for the ctx when it does.
func TestContextThatIsAskedForAfterTheEndHasEnded(t *testing.T) {
	for _, test := range []struct {
		name, call, then string
		told, is         error
	}{
		{"cancel", limitedCall(1, 0), frame(cancelKind|1, ""), rpc.ErrCanceled, context.Canceled},
		{"deadline", limitedCall(1, 1_000_000), "", rpc.ErrDeadline, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			var told, is error
			serveAsker(f, rpc.ServerConfig{}, strangersHello+test.call+test.then, func(a *asker, _ rpc.Payload, done rpc.Done) {
				done.OnCancel(func(err error) {
					told, is = err, done.Context().Err()
					must(t, done.Fail(err))
					a.endInput(t)
				})
			})
			if told != test.told || is != test.is {
				t.Errorf("the handler was told %v, its ctx ended with %v", told, is)
			}
		})
	}
}

// Nobody who has answered in OnCancel is told of room.
func TestOnRoomIsNotToldAfterTheAnswerInOnCancel(t *testing.T) {
	f := newFixture(t)
	serveAsker(f, rpc.ServerConfig{}, strangersHello+limitedCall(1, 0)+frame(cancelKind|1, ""), func(a *asker, _ rpc.Payload, done rpc.Done) {
		for done.PartBytes(nil) == nil {
		}
		done.OnRoom(func() { t.Error("OnRoom's function was called") })
		done.OnCancel(func(err error) {
			must(t, done.Fail(err))
			a.endInput(t)
		})
	})
}

// What comes first is what a handler is told: not the end of the server as well, nor anything behind that.
func TestHandlerIsToldOfOneEnd(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(strangersHello + frame(1, "") + frame(2, "kept") + frame(3, "kept") + frame(cancelKind|3, "") + frame(helloWord, ""))
	must(t, err)
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	var told []error
	err = server.ServeAsync(f.Loop, func(request rpc.Payload, done rpc.Done) {
		if len(request) == 0 {
			must(t, done.Reply()) // the next one has its place
			return
		}
		var tell func(error)
		tell = func(err error) {
			told = append(told, err)
			done.OnCancel(tell)
		}
		done.OnCancel(tell)
	})
	if err == nil {
		t.Error("the server has not noticed the second hello")
	}
	for range 2 { // the loop is the test's, and goes on
		must(t, f.Poll(0))
	}
	if len(told) != 2 || told[0] != rpc.ErrCanceled || !isLost(told[1]) || !errors.As(told[1], new(*rpc.ProtocolError)) {
		t.Errorf("the handlers were told %v", slices.Clone(told))
	}
}

// A cancel of a call that was answered is none of whichever call is next to have its place.
func TestCancelOfAnAnsweredCallIsNotTheNextCalls(t *testing.T) {
	f := newFixture(t)
	serveAsker(f, rpc.ServerConfig{}, strangersHello+frame(1, "")+frame(cancelKind|1, "")+frame(2, "last"), func(a *asker, request rpc.Payload, done rpc.Done) {
		if err := done.Context().Err(); err != nil {
			t.Errorf("the ctx of call %q had ended: %v", request, err)
		}
		must(t, done.Reply())
		if len(request) > 0 {
			a.endInput(t)
		}
	})
}
