package rpc_test

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// Half an answer has come when the async server's output is congested, so that the other
// half is held.
func TestAnswerWhoseEndIsHeldIsUnderstood(t *testing.T) {
	newFixture(t)
	ours, theirs := socketpair(t)
	file := fileOf(ours)
	defer file.Close()
	loop, err := reactor.New(reactor.Config{})
	must(t, err)
	s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{MaxBuffered: 1000})
	must(t, err)
	served, answers := make(chan error, 1), make(chan string, 2)
	go func() {
		defer closeLoop(loop)
		served <- s.ServeAsync(loop, func(_ rpc.Payload, done rpc.Done) {
			err := s.GoParent(func(reply rpc.Payload, err error) {
				answers <- string(reply)
				done.ReplyBytes(reply)
			}, "what?")
			if err != nil {
				done.Fail(err)
			}
		})
	}()
	say := func(text string) {
		_, err := file.WriteString(text)
		must(t, err)
	}
	asked := frame(upcallKind|1, "\x05what?")
	say(helloTaking("2") + frame(1, ""))
	if got := readBytes(file, len(ourHello+asked)); got != ourHello+asked {
		t.Fatalf("the server says %q", got)
	}
	answer := frame(upcallKind|1, "\x06answer")
	say(answer[:11])
	flooded := func() (n int) {
		must(t, loop.Do(t.Context(), func() {
			for s.Event(string(make([]byte, 500))) == nil {
				n++
			}
		}))
		return n
	}
	for n := flooded(); n > 0; n = flooded() { // until the socket is full, too
	}
	say(answer[11:] + frame(2, ""))
	must(t, unix.Shutdown(ours, unix.SHUT_WR))
	rest := make(chan string)
	go func() { rest <- readToEnd(file) }()
	if got := <-answers; got != "\x06answer" {
		t.Errorf("the answer is %q", got)
	}
	<-answers // the second call ends with the input
	frames, _, err := rpc.Decode(1000, []byte(<-rest))
	var replies []rpc.Frame
	for _, f := range frames {
		if f.Word != 0 {
			replies = append(replies, f)
		}
	}
	if err != nil || len(replies) != 3 || replies[0] != (rpc.Frame{Word: 1, Payload: "\x06answer"}) {
		t.Errorf("the server says %+v, %v", replies, err)
	}
	if err := <-served; err != nil {
		t.Errorf("the server returned %v", err)
	}
}

// Where nobody could read the answer, there is no waiting for it.
func TestServersContextNeedsServeGoroutines(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			s, err := rpc.NewServer(sameFD(theirs), rpc.ServerConfig{})
			must(t, err)
			var got error
			ended := false
			go func() { // perhaps before the server serves
				_, err := rpc.CallParent(s.Context(context.Background()), "hello")
				f.Post(func() { got, ended = err, true })
			}()
			f.servers.Go(func() {
				if err := serveNothing(s, server, theirs); err != nil {
					t.Errorf("the server returned %v", err)
				}
			})
			var w watched
			o := &oracle{t: t}
			o.client = f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, o.config(w.config(rpc.Config{})))
			f.ask(o.client, "anything")
			f.until(func() bool { return ended })
			if errors.Is(got, rpc.ErrNoCalls) != (server != "goroutines") || server == "goroutines" && got != nil {
				t.Errorf("CallParent returned %v", got)
			}
			o.client.Shutdown()
			f.until(w.ended)
		})
	}
}

// serveNothing answers every call with nothing.
func serveNothing(s *rpc.Server, server string, fd int) error {
	handler := func(context.Context, rpc.Payload) (rpc.Payload, error) { return nil, nil }
	switch server {
	case "sync":
		defer unix.Close(fd)
		return s.ServeSync(handler)
	case "goroutines":
		defer unix.Close(fd)
		return s.ServeGoroutines(handler, 0)
	}
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		return err
	}
	defer closeLoop(loop)
	return s.ServeAsync(loop, func(_ rpc.Payload, done rpc.Done) { done.Reply() })
}
