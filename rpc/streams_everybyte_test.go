package rpc_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// streamedTalk is a conversation of one streamed call with parts both ways, and a plain call
// behind it, over a connection that goes wrong somewhere.
type streamedTalk struct {
	*fixture
	server  string
	config  rpctest.Config
	watched watched
	call    roomy
	plain   *result
	tr      *rpctest.Transport
	// impatient gives the call a deadline, and the child no time after it: when bytes were lost, both sides may
	// wait for each other, and nothing else ends that.
	impatient bool
}

// talkParts is how many parts each direction has. The windows hold two.
const talkParts = 4

// hold runs the conversation to its end, and checks what is always so.
func (c *streamedTalk) hold() {
	c.t.Helper()
	c.tr = rpctest.StartWith(c.t, c.Loop, c.config, peer{server: c.server, window: 40}.serve)
	config, options := rpc.Config{}, rpc.StreamOptions{Input: true, Window: 40}
	if c.impatient {
		options.Deadline = time.Now().Add(2 * time.Millisecond)
		config.AbandonTimeout = time.Millisecond
	}
	client := c.client(c.tr, peer{}, c.watched.config(config))
	s, err := client.GoStream(&c.call, options, request("pipe"))
	must(c.t, err)
	sent := 0
	c.call.fn = func() {
		for ; sent < talkParts; sent++ {
			if s.Send(rpc.Strings(fmt.Sprint("part number ", sent))) != nil {
				return // or the call has ended, or the child is going
			}
		}
		s.CloseSend()
	}
	c.call.fn()
	c.plain = c.begin(client, "echo", "behind")
	client.Shutdown()
	c.until(c.watched.ended)
	serverErr := c.tr.Wait()
	if c.watched.destroyed+c.watched.failed != 1 || client.InFlight() != 0 {
		c.t.Errorf("OnDestroy was called %d times, OnError %d times, %d are in flight",
			c.watched.destroyed, c.watched.failed, client.InFlight())
	}
	if c.call.ends != 1 || c.plain.ends != 1 || c.call.late > 0 {
		c.t.Errorf("the streamed call ended %d times, the other %d times; %d parts came late; the server: %v",
			c.call.ends, c.plain.ends, c.call.late, serverErr)
	}
}

// whole checks a conversation in which nothing was lost.
func (c *streamedTalk) whole() {
	c.t.Helper()
	if c.call.err != nil || c.plain.err != nil || len(c.call.parts) != talkParts || c.watched.destroyed != 1 {
		c.t.Errorf("%d parts, %v, %v, %v", len(c.call.parts), c.call.err, c.plain.err, c.watched.err)
	}
}

// A connection that is cut, ended, disturbed or loses bytes anywhere: every call ends once, and so do
// both sides.
func TestStreamedCallWithAFaultAtEveryByte(t *testing.T) {
	faults := map[string]rpctest.Fault{
		"kill": {Do: rpctest.Kill}, "half-close": {Do: rpctest.HalfClose},
		"garbage": {Do: rpctest.Insert, Data: []byte{0x80}}, "loss": {Do: rpctest.Drop, N: 1}, "repetition": {Do: rpctest.Repeat, N: 9},
	}
	for _, server := range []string{"sync", "async", "goroutines"} {
		c := streamedTalk{fixture: newFixture(t), server: server}
		c.hold()
		c.whole()
		toChild, toParent := c.tr.Passed()
		for direction, length := range []int64{toChild, toParent} {
			for name, fault := range faults {
				for at := int64(0); at <= length; at += stride() {
					t.Run(fmt.Sprint(server, "/", []string{"to child ", "to parent "}[direction], at, "/", name), func(t *testing.T) {
						fault.At = at
						c := streamedTalk{fixture: newFixture(t), server: server}
						c.config.EOFWait = time.Millisecond
						c.impatient = name != "kill" && name != "half-close"
						list := rpctest.Faults{List: []rpctest.Fault{fault}}
						if direction == 0 {
							c.config.ToChild = list
						} else {
							c.config.ToParent = list
						}
						c.hold()
						exit, ok := errors.AsType[*child.ExitError](c.call.err)
						if name == "kill" && isLost(c.call.err) && (!ok || exit.State.Signal != 9) {
							t.Errorf("the call was lost to %v", c.call.err)
						}
					})
				}
			}
		}
	}
}

// However the bytes of either direction are cut, the conversation is the same.
func TestStreamedCallInPiecesOfAnySize(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, piece := range []int{1, 2, 3, 7, 8, 9, 31, 0} {
			t.Run(fmt.Sprint(server, "/", piece), func(t *testing.T) {
				c := streamedTalk{fixture: newFixture(t), server: server}
				c.config.ToChild.Piece, c.config.ToParent.Piece = piece, piece
				c.hold()
				c.whole()
			})
		}
	}
}
