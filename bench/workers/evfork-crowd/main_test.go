package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/rpc"
)

// Its worker answers every call with as many other bytes.
func TestMain(m *testing.M) {
	child.Main(child.Workers{"echo": func(w *child.Worker) error {
		loop, err := reactor.New(reactor.Config{})
		if err != nil {
			return err
		}
		defer loop.Close()
		return rpc.ServeAsync(w, loop, func(request rpc.Payload, done rpc.Done) { done.ReplyBytes(make([]byte, len(request))) })
	}})
	os.Exit(m.Run())
}

// A worker that answered with other bytes was measured like any other.
func TestReplyThatIsNotItsCallIsSeen(t *testing.T) {
	loop, err := reactor.New(reactor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	c := &crowd{loop: loop, payload: bytes.Repeat([]byte{'a'}, 32)}
	if err := c.start(1); err == nil || !strings.Contains(err.Error(), "differs from its call") {
		t.Errorf("error %v", err)
	}
}
