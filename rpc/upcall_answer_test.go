package rpc_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// What a parent answers to the calls of its child.

// answersOf is what the child hears when its call 1 is answered with so many bytes.
func answersOf(t *testing.T, config rpc.Config, size int) string {
	t.Helper()
	f := newFixture(t)
	transport, file := f.stranger()
	config.OnCall = func(_ rpc.Payload, done rpc.Done) { must(t, done.ReplyBytes(make([]byte, size))) }
	c := f.client(transport, peer{}, config)
	must(t, f.Poll(0))
	readOneFrame(t, file, 8) // its hello
	_, err := file.WriteString(hello + frame(upcallKind|1, ""))
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) && heard(file) > 0 })
	must(t, f.Poll(0))
	return f.hears(file, heard(file))
}

// An answer that is as long as a frame may be goes out; the child is told of one that is longer, or does not fit in the
// buffer.
func TestAnswerThatIsTooLongIsAnErrorReply(t *testing.T) {
	tooLarge := frame(errorKind|1, string(rpc.EncodeRemoteError(rpc.ErrTooLarge, 1000)))
	for _, test := range []struct {
		config rpc.Config
		size   int
		want   string
	}{
		{rpc.Config{MaxFrame: 1000}, 1000, frame(upcallKind|1, string(make([]byte, 1000)))},
		{rpc.Config{MaxFrame: 1000}, 1001, tooLarge},
		{rpc.Config{MaxBuffered: 1008}, 1000, frame(upcallKind|1, string(make([]byte, 1000)))},
		{rpc.Config{MaxBuffered: 1007}, 1000, tooLarge},
	} {
		if got := answersOf(t, test.config, test.size); got != test.want {
			t.Errorf("%d bytes with MaxFrame %d, MaxBuffered %d: the child reads %q", test.size, test.config.MaxFrame, test.config.MaxBuffered, got)
		}
	}
}

// A parent that has been shut down, and has closed its side, can answer neither what it has nor what comes.
func TestNothingIsAnsweredOnceTheChildsInputIsClosed(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	var calls []rpc.Done
	c := f.client(transport, peer{}, w.config(rpc.Config{OnCall: func(_ rpc.Payload, done rpc.Done) { calls = append(calls, done) }}))
	_, err := file.WriteString(hello + frame(upcallKind|1, ""))
	must(t, err)
	f.until(func() bool { return len(calls) == 1 })
	c.Shutdown()
	if err := calls[0].Reply(); err != rpc.ErrShutdown {
		t.Errorf("the answer: %v", err)
	}
	_, err = file.WriteString(frame(upcallKind|2, ""))
	must(t, err)
	must(t, unix.Shutdown(int(file.Fd()), unix.SHUT_WR))
	f.until(w.ended)
	if len(calls) != 1 || w.destroyed != 1 {
		t.Errorf("%d calls came; the client ended with %v", len(calls), w.err)
	}
}

// An answer that had to wait for room is one until it is sent.
func TestAnswersThatHadToWaitForRoomAreGiven(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	answer := frame(upcallKind|1, string(make([]byte, 1000)))
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{MaxBuffered: len(answer), MaxUpcalls: 2, OnCall: func(_ rpc.Payload, done rpc.Done) {
		must(t, done.ReplyBytes(make([]byte, 1000)))
	}}))
	must(t, f.Poll(0))
	readOneFrame(t, file, 8) // its hello
	_, err := file.WriteString(hello)
	must(t, err)
	f.until(func() bool { return rpc.Greeted(c) })
	for i := range 5 {
		_, err := file.WriteString(frame(upcallKind|1, "") + frame(upcallKind|2, ""))
		must(t, err)
		f.until(func() bool { return w.ended() || heard(file) == 2*len(answer) })
		if w.ended() {
			t.Fatalf("in round %d the client ended with %v", i+1, w.err)
		}
		f.hears(file, 2*len(answer))
	}
}
