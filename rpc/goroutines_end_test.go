package rpc_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// A streamed call that is cancelled while it waits has no parts any more.
func TestStreamThatWaitsForAGoroutineAndIsCancelledIsForgotten(t *testing.T) {
	goOn := make(chan struct{})
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 1, func(context.Context, rpc.Payload) (rpc.Payload, error) {
		<-goOn
		return nil, nil
	})
	_, err := file.WriteString(strangersHello + frame(1, "") + windowCall(2, 100, true, nil) + frame(cancelKind|2, "") + frame(endKind|2, ""))
	must(t, err)
	expect(t, file, ourHello+frame(errorKind|2, string(rpc.EncodeRemoteError(rpc.ErrCanceled, 1000))))
	_, err = file.WriteString(windowCall(2, 100, true, nil) + frame(endKind|2, "")) // the id is free
	must(t, err)
	close(goOn)
	expect(t, file, frame(1, "")+frame(2, ""))
	must(t, syscall.Shutdown(int(file.Fd()), syscall.SHUT_WR))
}

// servePipes has a server of goroutines read from a pipe and write to another, of which the test has the other ends. It
// returns what the server will have returned.
func servePipes(t *testing.T, limit int, handler rpc.Handler) (in, out *os.File, served <-chan error) {
	t.Helper()
	f := newFixture(t)
	var r, w [2]int
	must(t, unix.Pipe(r[:]))
	must(t, unix.Pipe(w[:]))
	result := make(chan error, 1)
	f.servers.Go(func() {
		result <- rpc.ServeGoroutines(twoFDs{r[0], w[1]}, handler, limit)
		unix.Close(r[0])
		unix.Close(w[1])
	})
	in, out = fileOf(r[1]), fileOf(w[0])
	t.Cleanup(func() { in.Close(); out.Close() })
	return in, out, result
}

// A parent that reads no more ends the server, also if the reply that cannot be written was held back for others.
func TestGoroutineServerEndsWhenNobodyReads(t *testing.T) {
	in, out, served := servePipes(t, 0, func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil })
	_, err := in.WriteString(hello)
	must(t, err)
	expect(t, out, ourHello)
	for range 100 { // all calls are cheap
		_, err := in.WriteString(frame(1, ""))
		must(t, err)
		expect(t, out, frame(1, ""))
	}
	must(t, out.Close())
	_, err = in.WriteString(frame(1, ""))
	must(t, err)
	if err := <-served; err == nil || !strings.Contains(err.Error(), unix.EPIPE.Error()) {
		t.Errorf("the server returned %v", err)
	}
}

// Whoever has kept the ctx of a call learns that it has been answered, while the server goes on.
func TestContextOfAGoroutineEndsWithTheAnswer(t *testing.T) {
	kept := make(chan context.Context, 1)
	in, out, served := servePipes(t, 0, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		if ctx.Err() != nil {
			t.Error("the ctx has ended before the answer")
		}
		kept <- ctx
		return nil, nil
	})
	_, err := in.WriteString(hello + frame(1, ""))
	must(t, err)
	expect(t, out, ourHello+frame(1, ""))
	<-(<-kept).Done()
	must(t, in.Close())
	must(t, <-served)
}

// A reader that has stopped, because many calls wait, reads on when a handler calls the parent: the answer is behind them.
func TestUpcallOfAGoroutineBehindAFullBacklogIsAnswered(t *testing.T) {
	const calls, size = 40, 32 << 10 // of which 32 may wait
	var written, begun atomic.Int32
	in, out, served := servePipes(t, 1, func(ctx context.Context, _ rpc.Payload) (rpc.Payload, error) {
		if begun.Add(1) > 1 {
			return nil, nil
		}
		for written.Load() < 33 {
			runtime.Gosched()
		}
		for range 1000 { // in which the reader fills the backlog
			runtime.Gosched()
		}
		return rpc.CallParentBytes(ctx, nil)
	})
	wrote := make(chan error, 1)
	go func() {
		_, err := in.WriteString(helloTaking("1"))
		for id := range uint32(calls) {
			if err == nil {
				_, err = in.WriteString(frame(id+1, string(make([]byte, size))))
			}
			written.Add(1)
		}
		if err == nil {
			_, err = in.WriteString(yes1)
		}
		in.Close()
		wrote <- err
	}()
	said := readToEnd(out)
	must(t, <-wrote)
	must(t, <-served)
	if n := begun.Load(); n != calls || !strings.Contains(said, frame(upcallKind|1, "")) {
		t.Errorf("%d calls were begun; the server says %q", n, said)
	}
}

// A reader that has stopped, because many calls wait, ends with a server that cannot write.
func TestReaderThatWaitsForRoomEndsWithTheServer(t *testing.T) {
	const calls, size = 40, 32 << 10 // of which 32 may wait
	var written atomic.Int32
	outs := make(chan *os.File, calls) // the handler closes it
	in, out, served := servePipes(t, 1, func(context.Context, rpc.Payload) (rpc.Payload, error) {
		out := <-outs
		for written.Load() < 34 {
			runtime.Gosched()
		}
		for range 1000 { // in which the reader fills the backlog
			runtime.Gosched()
		}
		return nil, out.Close()
	})
	outs <- out
	close(outs)
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, err := in.WriteString(hello)
		for id := uint32(1); id <= calls && err == nil; id++ { // until nobody reads any more
			_, err = in.WriteString(frame(id, string(make([]byte, size))))
			written.Add(1)
		}
	}()
	if err := <-served; !errors.Is(err, unix.EPIPE) {
		t.Errorf("the server returned %v", err)
	}
	<-wrote
}

// A call to the parent by a goroutine that is no handler's ends with what has ended the server.
func TestUpcallEndsWithTheReasonOfTheServersEnd(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	served, asked := make(chan error, 1), make(chan error, 1)
	f.servers.Go(func() {
		served <- s.ServeGoroutines(nil, 0)
		unix.Close(theirs)
	})
	go func() {
		_, err := rpc.CallParent(s.Context(context.Background()), "one")
		asked <- err
	}()
	_, err = file.WriteString(helloTaking("1"))
	must(t, err)
	expect(t, file, ourHello+asked1)
	_, err = file.WriteString(frame(upcallKind|7, "")) // and no end of the input
	must(t, err)
	for _, err := range []error{<-asked, <-served} {
		if _, ok := errors.AsType[*rpc.ProtocolError](err); !ok || errors.Is(err, rpc.ErrShutdown) {
			t.Errorf("an error is %v", err)
		}
	}
}

// Who has asked the parent to hold calls back wants them again when those that waited were cancelled.
func TestCancelsOfWaitingCallsEndTheHold(t *testing.T) {
	f := newFixture(t)
	const size = 600_000 // two are more than may wait
	large := string(make([]byte, size))
	input := helloTaking("1") + frame(1, "ask") + frame(2, large) + frame(3, large) + frame(cancelKind|2, "") + frame(cancelKind|3, "") + yes1
	said, err := f.hear(rpctest.Config{}, []byte(input), func(fds rpc.FDs) error {
		return rpc.ServeGoroutines(fds, func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
			return rpc.CallParentBytes(ctx, request)
		}, 1)
	})
	must(t, err)
	if on, off := strings.Index(said, frame(holdKind|1, "")), strings.Index(said, frame(holdKind, "")); on < 0 || off < on {
		t.Errorf("the server says %q", said)
	}
}

// The cancel of a call is not taken for that of the call before with the same id, whose runner has written the answer and
// goes on with another's.
func TestCancelIsNotForTheAnsweredCallWhoseRunnerWrites(t *testing.T) {
	f := newFixture(t)
	var r, w [2]int
	must(t, unix.Pipe(r[:]))
	must(t, unix.Pipe(w[:]))
	const size = 300_000 // more than a pipe holds
	s, err := rpc.NewServer(twoFDs{r[0], w[1]}, rpc.ServerConfig{MaxBuffered: 2 * size})
	must(t, err)
	goOn := make(chan struct{})
	handler := func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		switch string(request) {
		case "large":
			return make(rpc.Payload, size), nil
		case "waits":
			<-goOn
			if ctx.Err() == nil {
				t.Error("the call was not cancelled")
			}
		case "last": // behind the cancel
			close(goOn)
		}
		return nil, nil
	}
	f.servers.Go(func() {
		if err := s.ServeGoroutines(handler, 0); err != nil {
			t.Error(err)
		}
		unix.Close(r[0])
		unix.Close(w[1])
	})
	in, out := fileOf(r[1]), fileOf(w[0])
	defer out.Close()
	_, err = in.WriteString(hello + frame(1, "large"))
	must(t, err)
	expect(t, out, ourHello+frame(1, string(make([]byte, size)))[:8])
	_, err = in.WriteString(frame(2, "large"))
	must(t, err)
	pollUntil(func() bool { return rpc.IsFull(s, false) })
	readBytes(out, size)
	_, err = in.WriteString(frame(1, "waits") + frame(cancelKind|1, "") + frame(3, "last"))
	must(t, err)
	must(t, in.Close())
	readToEnd(out)
}

// A server that has ended by an error may leave a reader, whose descriptor's number can be another connection's when it reads
// again: it took bytes of that. Here the number is the other's while the server runs.
func TestReaderKeepsToItsConnection(t *testing.T) {
	f := newFixture(t)
	var r, w, other [2]int
	for _, pipe := range []*[2]int{&r, &w, &other} {
		must(t, unix.Pipe(pipe[:]))
	}
	f.servers.Go(func() {
		echo := func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil }
		if err := rpc.ServeGoroutines(twoFDs{r[0], w[1]}, echo, 0); err != nil {
			t.Error(err)
		}
		unix.Close(r[0])
		unix.Close(w[1])
	})
	in, out, others := fileOf(r[1]), fileOf(w[0]), fileOf(other[1])
	defer out.Close()
	defer in.Close() // also if it fails
	defer others.Close()
	call := func(id uint32) {
		_, err := in.WriteString(frame(id, "x"))
		must(t, err)
		expect(t, out, frame(id, "x"))
	}
	_, err := in.WriteString(hello)
	must(t, err)
	expect(t, out, ourHello)
	call(1)
	_, err = others.WriteString(frame(0, "")) // which no server takes
	must(t, err)
	must(t, unix.Dup2(other[0], r[0]))
	unix.Close(other[0])
	call(2) // the read that was begun before
	call(3)
	must(t, in.Close())
	readToEnd(out)
}
