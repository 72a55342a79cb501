package rpc_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// congested is an async server in this process whose calls ask the parent, which the
// test is, and whose output is full.
type congested struct {
	t       *testing.T
	ours    int
	file    *os.File
	served  chan error
	answers chan string
	loop    *reactor.Loop
	server  *rpc.Server
}

func newCongested(t *testing.T, concurrent int) *congested {
	newFixture(t)
	ours, theirs := socketpair(t)
	c := &congested{t: t, ours: ours, file: fileOf(ours), served: make(chan error, 1), answers: make(chan string, 2)}
	t.Cleanup(func() { c.file.Close() })
	var err error
	c.loop, err = reactor.New(reactor.Config{})
	must(t, err)
	c.server, err = rpc.NewServer(sameFD(theirs), rpc.ServerConfig{MaxBuffered: 1000, MaxConcurrent: concurrent})
	must(t, err)
	go func() {
		defer closeLoop(c.loop)
		c.served <- c.server.ServeAsync(c.loop, c.ask)
	}()
	asked := frame(upcallKind|1, "\x05what?")
	c.say(helloTaking("2") + frame(1, ""))
	if got := readBytes(c.file, len(ourHello+asked)); got != ourHello+asked {
		t.Fatalf("the server says %q", got)
	}
	return c
}

func (c *congested) ask(_ rpc.Payload, done rpc.Done) {
	err := c.server.GoParent(func(reply rpc.Payload, err error) {
		c.answers <- string(reply)
		done.ReplyBytes(reply)
	}, "what?")
	if err != nil {
		done.Fail(err)
	}
}

func (c *congested) say(text string) {
	c.t.Helper()
	_, err := c.file.WriteString(text)
	must(c.t, err)
}

// flood has the server send events until the socket and the server's buffer are full.
func (c *congested) flood() {
	for more := true; more; {
		more = false
		must(c.t, c.loop.Do(c.t.Context(), func() {
			for c.server.Event(string(make([]byte, 500))) == nil {
				more = true
			}
		}))
	}
}

// hasRead waits until the server has taken what was said, or decided not to: each Do
// is in an iteration that began later.
func (c *congested) hasRead() {
	for range 2 {
		must(c.t, c.loop.Do(c.t.Context(), func() {}))
	}
}

// replies are all frames but events until the end.
func (c *congested) replies() (replies []rpc.Frame) {
	c.t.Helper()
	frames, _, err := rpc.Decode(1000, []byte(readToEnd(c.file)))
	must(c.t, err)
	for _, f := range frames {
		if f.Word != 0 {
			replies = append(replies, f)
		}
	}
	must(c.t, <-c.served)
	return replies
}

// check looks at the end of both calls. The second one may have asked, too, or not
// any more.
func (c *congested) check(replies []rpc.Frame, answer string) {
	c.t.Helper()
	last := len(replies) - 1
	if last < 1 || replies[0] != (rpc.Frame{Word: 1, Payload: answer}) || replies[last].Word&^errorKind != 2 {
		c.t.Errorf("the server says %+v", replies)
	}
}

// Half an answer has come when the async server's output is congested, so that the other
// half is held.
func TestAnswerWhoseEndIsHeldIsUnderstood(t *testing.T) {
	c := newCongested(t, 0)
	answer := strings.Repeat("\xff", 40) // is no header
	text := frame(upcallKind|1, answer)
	c.say(text[:20])
	c.flood()
	c.say(text[20:] + frame(2, ""))
	c.hasRead()
	must(t, unix.Shutdown(c.ours, unix.SHUT_WR))
	replies := c.replies()
	if got := <-c.answers; got != answer {
		t.Errorf("the answer is %q", got)
	}
	c.check(replies, answer)
}

// The async server stopped reading because its output was congested. When that has
// drained, no call may begin, but an answer may come.
func TestAnswerIsReadWhenTheOutputHasDrained(t *testing.T) {
	c := newCongested(t, 1)
	c.flood()
	c.say(frame(2, ""))
	c.hasRead()
	c.say(frame(upcallKind|1, "\x06answer"))
	must(t, unix.Shutdown(c.ours, unix.SHUT_WR))
	replies := c.replies()
	if got := <-c.answers; got != "\x06answer" {
		t.Errorf("the answer is %q", got)
	}
	c.check(replies, "\x06answer")
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
	return serveOnALoop(s, func(_ rpc.Payload, done rpc.Done) { done.Reply() })
}
