package rpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
)

// What both sides state has to be the same; what one does not state does not matter.
func TestSidesThatDoNotMatchRefuseEachOther(t *testing.T) {
	for _, test := range []struct {
		name          string
		parent, child [2]string // codec and build
		says          string    // to the parent; "": they match
	}{
		{"the same", [2]string{"cbor", "b1"}, [2]string{"cbor", "b1"}, ""},
		{"builds", [2]string{"", "b1"}, [2]string{"", "b2"}, `the other side is build "b2", this side "b1"`},
		{"codecs", [2]string{"cbor", ""}, [2]string{"json", ""}, `the other side's codec is "json", this side's "cbor"`},
		{"codec that is not stated", [2]string{"cbor", ""}, [2]string{"", ""}, `the other side's codec is "string", this side's "cbor"`},
		{"build of the parent only", [2]string{"", "b1"}, [2]string{"", ""}, ""},
		{"build of the child only", [2]string{"", ""}, [2]string{"", "b2"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			ours, theirs := socketpair(t)
			returned := make(chan error, 1)
			f.servers.Go(func() { returned <- serveStated(sameFD(theirs), test.child[0], test.child[1]) })
			var w watched
			config := w.config(rpc.Config{Codec: test.parent[0], Build: test.parent[1]})
			c := f.client(rpc.NewStreamTransport(f.Loop, ours, ours), peer{}, config)
			r := f.begin(c, "echo")
			c.Shutdown()
			f.until(w.ended)
			err := <-returned
			if test.says == "" {
				if r.err != nil || r.ends != 1 || err != nil {
					t.Errorf("the call ended with %v, and the server with %v", r.err, err)
				}
				return
			}
			if !isLost(r.err) || !strings.Contains(r.err.Error(), test.says) {
				t.Errorf("the call ended with %v", r.err)
			}
			if violation := (*rpc.ProtocolError)(nil); !errors.As(err, &violation) {
				t.Errorf("the server returned %v", err)
			}
		})
	}
}

// serveStated is a mirror that states a codec and a build.
func serveStated(fds sameFD, codec, build string) error {
	defer unix.Close(int(fds))
	server, err := rpc.NewServer(fds, rpc.ServerConfig{Codec: codec, Build: build})
	if err != nil {
		return err
	}
	return server.ServeSync(func(_ context.Context, request rpc.Payload) (rpc.Payload, error) { return request, nil })
}

// docs/protocol.md says so to those who write workers in other languages.
func TestWorkerWithoutFeaturesIsSentPlainCallsOnly(t *testing.T) {
	f := newFixture(t)
	transport, file := f.stranger()
	var w watched
	c := f.client(transport, peer{}, w.config(rpc.Config{OnCall: func(rpc.Payload, rpc.Done) {}}))
	streamed := &result{}
	_, err := c.GoStream(streamed, rpc.StreamOptions{Input: true}, nil)
	must(t, err)
	early, _ := f.beginWith(c, within(time.Hour), "before the hello")
	_, err = file.WriteString(frame(helloWord, "\x06evfork\x011"))
	must(t, err)
	f.until(streamed.ended) // with ErrNoStreams: the hello has come
	late, id := f.beginWith(c, within(time.Hour), "behind it")
	c.Cancel(id)
	f.until(late.ended)

	next := func() (word uint32) {
		header := f.hears(file, 8)
		f.hears(file, int(binary.BigEndian.Uint32([]byte(header[4:]))))
		return binary.BigEndian.Uint32([]byte(header))
	}
	if word := next(); word != helloWord {
		t.Errorf("the first frame is %#x", word)
	}
	for range 2 {
		word := next()
		if word == 0 || word>>28 != 0 {
			t.Errorf("a frame is %#x", word)
		}
		_, err := file.WriteString(frame(word, ""))
		must(t, err)
	}
	c.Shutdown()
	f.until(func() bool { return c.InFlight() == 0 })
	must(t, unix.Shutdown(int(file.Fd()), unix.SHUT_WR))
	f.until(w.ended)
	if rest, err := io.ReadAll(file); err != nil || len(rest) > 0 {
		t.Errorf("behind the calls came %q, %v", rest, err)
	}
	if early.ends != 1 || early.err != nil || late.err != rpc.ErrCanceled || streamed.err != rpc.ErrNoStreams {
		t.Errorf("the calls ended with %v, %v and %v", early.err, late.err, streamed.err)
	}
}

// A program that sends back what it was sent answered each call with its arguments.
func TestChildThatSendsBackWhatItWasSentIsNoServer(t *testing.T) {
	f := newFixture(t)
	proc, err := child.Start(f.Loop, child.Config{Path: "cat", Transport: child.Stdio, StartTimeout: guard})
	must(t, err)
	var w watched
	c := f.client(proc, peer{}, w.config(rpc.Config{}))
	r := f.begin(c, "echo", "a")
	f.until(w.ended)
	if r.err == nil || !strings.Contains(r.err.Error(), "the child sends back what it was sent") {
		t.Errorf("the call ended with %v", r.err)
	}
}
