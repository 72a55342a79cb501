package rpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evfork/evfork/rpc"
)

// A part that is longer than the parent's buffer stayed the first of its stream for ever.
func TestPartLongerThanTheBufferIsRefused(t *testing.T) {
	eachServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{MaxBuffered: 1000})
		f.background()
		s := c.CallStream(t.Context(), rpc.StreamOptions{Input: true}, request("sum"))
		if err := s.Send(make([]byte, 993)); err != rpc.ErrTooLarge {
			t.Errorf("Send returned %v", err)
		}
		if t.Failed() {
			s.Cancel()
		}
		must(t, s.Send(make([]byte, 992)))
		s.CloseSend()
		if reply, err := s.Reply(); err != nil || string(reply) != string(request(1, 992)) {
			t.Errorf("the reply is %q, %v", reply, err)
		}
	})
}

// A call that was held when the parent went away waited for its parts for ever.
func TestHeldCallIsToldThatItsPartsDoNotCome(t *testing.T) {
	newFixture(t)
	in := clientHello + windowCall(1, 100, true, request("sum")) + windowCall(2, 100, true, request("sum")) + frame(partKind|2, "x")
	out, err := serveRaw(t, peer{server: "async", concurrent: 1}, in)
	must(t, err)
	if strings.Count(out, "unexpected EOF") != 2 {
		t.Errorf("the server says %q", out)
	}
}

// A child whose window was 2⁶³ or more was taken for one without: its streamed calls waited for ever.
func TestWindowOfAChildMayBeOfAnySize(t *testing.T) {
	for window, want := range map[string]error{
		"9223372036854775807": nil, "9223372036854775808": nil, "18446744073709551616": nil, "1" + strings.Repeat("0", 40): nil, "007": nil,
		"0": rpc.ErrFull, "": rpc.ErrFull, "-1": rpc.ErrFull, "1k": rpc.ErrFull,
	} {
		f := newFixture(t)
		transport, file := f.stranger()
		greeted := false
		c := f.client(transport, peer{}, rpc.Config{OnEvent: func(rpc.Payload) { greeted = true }})
		var r partial
		s, err := c.GoStream(&r, rpc.StreamOptions{Input: true}, nil)
		must(t, err)
		hello := string(rpc.Strings("evfork", "1", "features", "metadata credits", "window", window))
		_, err = file.WriteString(frame(helloWord, hello) + frame(0, ""))
		must(t, err)
		f.until(func() bool { return greeted })
		if err := s.Send(nil); err != want {
			t.Errorf("with a window of %q Send returns %v", window, err)
		}
	}
}

// A handler was told that its call had been cancelled when its parent was gone before the end of the parts, and
// one that waited for credit got an error from Part that was none of those documented.
func TestHandlerIsToldThatTheParentIsGone(t *testing.T) {
	for _, input := range []bool{true, false} {
		f := newFixture(t)
		ours, theirs := socketpair(t)
		file := fileOf(ours)
		defer file.Close()
		_, err := file.WriteString(clientHello + windowCall(1, 0, input, nil))
		must(t, err)
		must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
		server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
		must(t, err)
		var told []error
		must(t, server.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
			done.OnCancel(func(err error) { told = append(told, err) })
			done.OnRoom(func() {
				told = append(told, done.PartBytes(nil))
				must(t, done.Reply())
			})
		}))
		if slices.ContainsFunc(told, func(err error) bool { return !isLost(err) || !errors.Is(err, io.ErrUnexpectedEOF) }) ||
			input && len(told) != 2 || !input && len(told) != 1 {
			t.Errorf("input %v: the handler was told %v", input, told)
		}
	}
}

// The parent ends the parts of a call that it has cancelled, too. The handler took them for whole.
func TestEndOfTheInputOfACancelledCallIsNotTold(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	_, err := file.WriteString(clientHello + windowCall(1, 100, true, nil) + frame(partKind|1, "a") + frame(cancelKind|1, "") + frame(endKind|1, ""))
	must(t, err)
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	server, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
	must(t, err)
	var seen []string
	must(t, server.ServeAsync(f.Loop, func(_ rpc.Payload, done rpc.Done) {
		done.OnParts(func(part rpc.Payload) { seen = append(seen, string(part)) }, func() { seen = append(seen, "end") })
		done.OnCancel(func(err error) {
			seen = append(seen, err.Error())
			must(t, f.Post(func() { done.Fail(err) })) // behind the end of the parts
		})
	}))
	if got := strings.Join(seen, ", "); got != "a, "+rpc.ErrCanceled.Error() {
		t.Errorf("the handler was told %s", got)
	}
}

// A call that uses the id of an answered one, whose parts have not ended, made the server forget those.
func TestPlainCallLeavesThePartsOfAnotherAlone(t *testing.T) {
	newFixture(t)
	in := clientHello + windowCall(1, 100, true, request("echo", "at once")) + frame(1, string(request("sum"))) + frame(endKind|1, "")
	out, err := serveRaw(t, peer{server: "async"}, in)
	if want := frame(1, "\x07at once") + frame(1, string(request(0, 0))); err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("the server says %q, %v", out, err)
	}
}

// The deadline of a call of which the child had not been told was the end of the last one, and nobody noticed.
func TestShutdownEndsWithACallThatWasLateForTheHello(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{OnCall: func(rpc.Payload, rpc.Done) {}}))
	r := &result{}
	_, err := c.GoStream(r, rpc.StreamOptions{Deadline: time.Now().Add(time.Millisecond)}, nil)
	must(t, err)
	c.Shutdown()
	gone := followToTheEnd(file)
	f.until(w.ended)
	must(t, <-gone)
	if !errors.Is(r.err, rpc.ErrDeadline) || w.destroyed != 1 {
		t.Errorf("the call ended with %v; OnDestroy %d times, OnError: %v", r.err, w.destroyed, w.err)
	}
}

// There was no room for a cancel, but there was some for the end of the call's parts.
func TestCancelComesBeforeTheEndOfTheParts(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1 << 20})
	r := &result{}
	s, err := c.GoStream(r, rpc.StreamOptions{Input: true}, nil)
	must(t, err)
	_, err = file.WriteString(ourHello)
	must(t, err)
	f.until(func() bool { return heard(file) >= len(clientHello+windowCall(1, 256<<10, true, nil)) })
	for size := 1 << 16; size > 0; size /= 2 {
		for c.GoBytes(nil, make([]byte, size)) == nil {
			must(t, f.Poll(0))
		}
	}
	for c.GoBytes(nil, nil) == nil {
	}
	var rest []byte
	for n := heard(file); n > 0; n = heard(file) {
		rest = append(rest, make([]byte, n)...)
		_, err = io.ReadFull(file, rest[len(rest)-n:])
		must(t, err)
	}
	must(t, f.Post(func() { s.Cancel() })) // then there is room, and then the end is told
	f.until(r.ended)
	read := make(chan string, 1)
	go func() { read <- string(rest) + readToEnd(file) }()
	for range 3 { // also what OnDrain has sent
		f.until(func() bool { return f.Stats().Buffered == 0 })
		must(t, f.Poll(0))
	}
	must(t, transport.Stop())
	must(t, f.Poll(0))
	frames, _, err := rpc.Decode(1<<20, []byte(<-read))
	must(t, err)
	var order []uint32
	for _, fr := range frames {
		if k := fr.Word &^ 1; fr.Word&1 == 1 && (k == cancelKind || k == endKind) {
			order = append(order, k)
		}
	}
	if len(order) != 2 || order[0] != cancelKind || order[1] != endKind {
		t.Errorf("the child reads %x", order)
	}
}

// heldCtx is a ctx whose end comes later than its deadline: the loop may be the first to notice that.
type heldCtx struct {
	context.Context
	deadline time.Time
}

func (c heldCtx) Deadline() (time.Time, bool) { return c.deadline, true }

// The loop ended the streamed call of a goroutine at its deadline, without the ctx's cause, if it was faster than the ctx.
func TestStreamThatEndsWithItsContextHasTheCause(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{})
	_, err := file.WriteString(ourHello)
	must(t, err)
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	held := heldCtx{ctx, time.Now().Add(time.Millisecond)}
	s := c.CallStream(held, rpc.StreamOptions{}, nil)
	f.until(func() bool { return c.InFlight() == 1 })
	passed := false
	f.AfterFunc(time.Until(held.deadline)+time.Millisecond, func() { passed = true })
	f.until(func() bool { return passed })
	cancel(enough)
	if _, err := s.Reply(); !errors.Is(err, enough) {
		t.Errorf("the call ended with %v", err)
	}
}

// ServeSync had kept a part, behind a call, while a handler waited, and took the end of the parts before it, inside another
// handler, because the part's own call had been cancelled: the part was then one of a call that takes none.
func TestPartOfACallThatWasDroppedComesBeforeTheirEnd(t *testing.T) {
	f := newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	served := make(chan error, 1)
	f.servers.Go(func() {
		served <- rpc.ServeSync(sameFD(theirs), func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
			return rpc.CallParentBytes(ctx, request)
		})
		syscall.Close(theirs)
	})
	say := func(text string) {
		_, err := file.WriteString(text)
		must(t, err)
	}
	hear := func(want string) {
		if got := readBytes(file, len(want)); got != want {
			t.Fatalf("the server says %q, not %q", got, want)
		}
	}
	say(helloTaking("2") + frame(1, "first") + windowCall(2, 100, true, nil) + frame(3, "second") + frame(partKind|2, "part") + frame(cancelKind|2, ""))
	hear(ourHello + frame(upcallKind|1, "first"))
	say(frame(upcallKind|1, "yes"))
	canceled := string(rpc.EncodeRemoteError(rpc.ErrCanceled, 1000))
	hear(frame(1, "yes") + frame(errorKind|2, canceled) + frame(upcallKind|2, "second"))
	say(frame(endKind|2, "") + frame(upcallKind|2, "no"))
	hear(frame(3, "no"))
	must(t, syscall.Shutdown(ours, syscall.SHUT_WR))
	must(t, <-served)
}

// countingContext is a ctx without an end that knows how many wait for it.
type countingContext struct {
	context.Context
	waiting *int
}

func (countingContext) Done() <-chan struct{} { return make(chan struct{}) }
func (countingContext) Value(any) any         { return nil }

func (c countingContext) AfterFunc(func()) (stop func() bool) {
	*c.waiting++
	stopped := false
	return func() (first bool) {
		if first = !stopped; first {
			stopped = true
			*c.waiting--
		}
		return first
	}
}

// Streams that were cancelled while they waited for room were held by their ctx for as long as that lasted.
func TestCancelledStreamIsNotHeldByItsContext(t *testing.T) {
	f := newFixture(t)
	c := f.connect(pipes("async"), rpc.Config{MaxInFlight: 1})
	f.works(c)
	held := f.begin(c, "hold")
	waiting := 0
	for range 100 {
		c.CallStream(countingContext{t.Context(), &waiting}, rpc.StreamOptions{}, request("sum")).Cancel()
	}
	for range 3 {
		must(t, f.Poll(0))
	}
	if waiting > 0 {
		t.Errorf("%d of 100 streams are held by their ctx", waiting)
	}
	if rpc.AnyWaiting(c) || held.ends > 0 {
		t.Errorf("%d wait for room", rpc.Waiting(c))
	}
}

// Credit for a call that the child had not been told of yet let parts of its request go before the call.
func TestCreditBeforeTheCallIsNone(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1000})
	options := rpc.StreamOptions{Window: 7, Input: true}
	var first, second *rpc.LoopStream
	var errs []error
	r := &roomy{}
	r.fn = func() {
		if len(errs) == 0 { // behind the first call there is no room for this, nor for the second call
			errs = append(errs, first.Send(make([]byte, 100)))
			return
		}
		errs = append(errs, second.Send(nil))
	}
	first, err := c.GoStream(r, options, make([]byte, 900))
	must(t, err)
	end := &result{}
	second, err = c.GoStream(end, options, make([]byte, 100)) // fits as long as nothing has a header
	must(t, err)
	if err := first.Send(nil); err != rpc.ErrFull {
		t.Errorf("Send before the hello returned %v", err)
	}
	_, err = file.WriteString(frame(helloWord, "\x06evfork\x011\x08features\x10metadata credits\x06window\x0220") + credit(2, 100))
	must(t, err)
	want := clientHello + windowCall(1, 7, true, make([]byte, 900)) + windowCall(2, 7, true, make([]byte, 100))
	if got := f.hears(file, len(want)); got != want {
		t.Errorf("the child reads %q\nnot %q", got, want)
	}
	if len(errs) != 2 || errs[0] != rpc.ErrFull || errs[1] != rpc.ErrFull {
		t.Errorf("Send returned %v", errs)
	}
	_, err = file.WriteString(frame(1, "\x04done") + frame(2, "\x04done"))
	must(t, err)
	f.until(func() bool { return r.ended() && end.ended() })
}

// A handler of a call of the child was told that the parts, of which there are none, are through, also when the child had
// cancelled the call: as if somebody still waited for the answer.
func TestEndOfThePartsOfACancelledUpcallIsNotTold(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var seen []string
	f.client(transport, peer{}, rpc.Config{OnCall: func(request rpc.Payload, done rpc.Done) {
		done.OnParts(nil, func() { seen = append(seen, "end "+string(request)) })
		done.OnCancel(func(error) { seen = append(seen, "cancel "+string(request)) })
	}})
	_, err := file.WriteString(hello + frame(upcallKind|1, "a") + frame(cancelKind|1, "") + frame(upcallKind|2, "b"))
	must(t, err)
	f.until(func() bool { return len(seen) > 1 })
	must(t, f.Poll(0))
	if got := strings.Join(seen, ", "); got != "cancel a, end b" {
		t.Errorf("the handlers were told %s", got)
	}
}

// lateErr is a ctx whose Err is what it was before something that fn does.
type lateErr struct {
	context.Context
	fn func()
}

func (c lateErr) Err() error {
	err := c.Context.Err()
	c.fn()
	return err
}

// A handler of ServeGoroutines that had just looked whether its call was cancelled took the end of the parts, which comes
// behind the cancel, for the end of all.
func TestPartsOfACallThatIsCancelledAreNotWhole(t *testing.T) {
	asks, came, ends := make(chan bool), make(chan bool), make(chan error, 1)
	file := rawGoroutineServer(t, rpc.ServerConfig{}, 0, func(ctx context.Context, request rpc.Payload) (rpc.Payload, error) {
		if len(request) > 0 {
			close(came)
			return nil, nil
		}
		var once sync.Once
		var end error
		for _, end = range rpc.Parts(lateErr{ctx, func() { once.Do(func() { close(asks); <-came }) }}) {
		}
		ends <- end
		return nil, nil
	})
	_, err := file.WriteString(clientHello + windowCall(1, 100, true, nil))
	must(t, err)
	expect(t, file, ourHello)
	<-asks
	_, err = file.WriteString(frame(cancelKind|1, "") + frame(endKind|1, "") + frame(2, "next"))
	must(t, err)
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Errorf("the parts ended with %v", err)
	}
	readBytes(file, len(frame(1, "")+frame(2, "")))
}

// When the child had read what was queued for it, and its hello had not come, streamed calls that waited for that ended with
// ErrNoStreams.
func TestRoomBeforeTheHelloEndsNoStreamedCall(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	c := f.client(transport, peer{}, rpc.Config{MaxBuffered: 1 << 16})
	r := &result{}
	_, err := c.GoStream(r, rpc.StreamOptions{Window: 7}, nil)
	must(t, err)
	sent := len(clientHello)
	for plain := make([]byte, 1<<12); rpc.Buffered(c) < 1<<15; sent += len(frame(0, string(plain))) { // the socket is full
		must(t, c.GoBytes(nil, plain))
		must(t, f.Poll(0))
	}
	for err = nil; err == nil; sent += len(frame(0, "")) {
		err = c.GoBytes(nil, nil)
	}
	for sent -= len(frame(0, "")); sent > 0; sent -= len(f.hears(file, min(sent, 1<<12))) {
	}
	must(t, f.Poll(0))
	if r.ends > 0 {
		t.Fatalf("the call ended with %v", r.err)
	}
	_, err = file.WriteString(ourHello + frame(1, ""))
	must(t, err)
	f.until(r.ended)
	must(t, r.err)
}
