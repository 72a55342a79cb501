package rpc_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/leaktest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// How ServeAsync ends, and what does not end it.

// A parent that reads no more, but does not close its side of the input, ends the server.
func TestAsyncServerEndsWhenNobodyReads(t *testing.T) {
	f := newFixture(t)
	var in, out [2]int
	must(t, unix.Pipe(in[:]))
	must(t, unix.Pipe(out[:]))
	defer unix.Close(in[1])
	_, err := unix.Write(in[1], []byte(hello+frame(1, "")))
	must(t, err)
	s, err := rpc.NewServer(twoFDs{in[0], out[1]}, rpc.ServerConfig{})
	must(t, err)
	err = s.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		must(t, unix.Close(out[0]))
		done.Reply()
	})
	if err == nil || !strings.Contains(err.Error(), unix.EPIPE.Error()) {
		t.Errorf("the server returned %v", err)
	}
}

// While calls waited for others to be answered, a cut frame was not noticed: a handler that waits to hear that nobody waits for it
// never did.
func TestCutFrameEndsAnAsyncServerWhoseCallsWait(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(hello + frame(1, "") + frame(2, "") + frame(3, "cut")[:9])
	must(t, err)
	must(t, unix.Shutdown(ours, unix.SHUT_WR))
	s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{MaxConcurrent: 1})
	must(t, err)
	f.AfterFunc(guard, f.Stop).Unref()
	begun, told := 0, 0
	err = s.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		begun++
		done.OnCancel(func(error) { told++ })
	})
	if violation := (&rpc.ProtocolError{}); !errors.As(err, &violation) || begun != 1 || told != 1 {
		t.Errorf("%d calls were begun and %d cancelled, and the server returned %v", begun, told, err)
	}
}

// A panic behind the answer cannot be told to the caller: it is the loop's.
func TestPanicBehindTheAnswerIsTheLoops(t *testing.T) {
	leaktest.Check(t)
	var panics []any
	loop, err := reactor.New(reactor.Config{OnPanic: func(p *reactor.Panic) { panics = append(panics, p.Value) }})
	must(t, err)
	defer closeLoop(loop)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err = file.WriteString(hello + frame(1, ""))
	must(t, err)
	err = rpc.ServeAsync(sameFD(theirs), loop, func(_ rpc.Payload, done rpc.Done) {
		must(t, done.Reply())
		panic("in the handler")
	})
	if err == nil || len(panics) != 1 || panics[0] != "in the handler" {
		t.Errorf("the server returned %v, the loop was told %v", err, panics)
	}
	if said := readToEnd(file); said != ourHello+frame(1, "") {
		t.Errorf("the server says %q", said)
	}
}

// A panic of a function that takes parts is the end of their call, and of no other.
func TestPanicInOnPartsEndsTheCall(t *testing.T) {
	f := newFixture(t)
	said := strangersHello + windowCall(1, 100, true, nil) + frame(partKind|1, "part") + frame(endKind|1, "") + frame(2, "next")
	a := serveAsker(f, rpc.ServerConfig{}, said, func(a *asker, request rpc.Payload, done rpc.Done) {
		if len(request) > 0 {
			must(t, done.ReplyBytes(request))
			a.endInput(t)
			return
		}
		done.OnParts(func(rpc.Payload) { panic("in OnParts") }, nil)
	})
	if out := <-a.out; !strings.Contains(out, "\x0ain OnParts") || !strings.HasSuffix(out, frame(2, "next")) {
		t.Errorf("the server says %q", out)
	}
}
