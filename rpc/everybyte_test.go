package rpc_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/rpc"
	"github.com/evfork/evfork/rpc/rpctest"
)

// conversation is a few calls to a server of this process, over a connection that
// goes wrong somewhere.
type conversation struct {
	*fixture
	server  string
	wire    rpc.Wire
	config  rpctest.Config
	script  [][]string // script, unless it is set
	stay    bool       // do not shut down: the connection goes first
	watched watched
	calls   []*result
	client  *rpc.Client
	tr      *rpctest.Transport

	mu      sync.Mutex
	handled []string // what the server was asked
}

// script is the calls of a conversation: replies, an error, an event, nothing.
var script = [][]string{{"echo", "a"}, {"fail", "why"}, {"event", "e"}, {"echo", strings.Repeat("x", 40)}, {"echo"}}

// hold runs the conversation to its end, and checks what is always so: each call
// ended once, the client ended once, and no call that has certainly not been started
// was seen by a handler.
func (c *conversation) hold() {
	c.t.Helper()
	if c.script == nil {
		c.script = script
	}
	c.tr = rpctest.StartWith(c.t, c.Loop, c.config, c.serve)
	config := c.watched.config(rpc.Config{Wire: c.wire})
	var err error
	c.client, err = rpc.NewClient(c.tr, config)
	must(c.t, err)
	for _, args := range c.script {
		c.calls = append(c.calls, c.begin(c.client, args...))
	}
	if !c.stay {
		c.client.Shutdown()
	}
	c.until(c.watched.ended)
	serverErr := c.tr.Wait()
	c.check(serverErr)
}

func (c *conversation) check(serverErr error) {
	c.t.Helper()
	if c.watched.destroyed+c.watched.failed != 1 {
		c.t.Errorf("OnDestroy was called %d times, OnError %d times", c.watched.destroyed, c.watched.failed)
	}
	if c.client.InFlight() != 0 {
		c.t.Errorf("%d calls are in flight", c.client.InFlight())
	}
	for i, r := range c.calls {
		if r.ends != 1 {
			c.t.Errorf("call %d ended %d times (the server: %v)", i, r.ends, serverErr)
		}
		lost, ok := errors.AsType[*rpc.LostError](r.err)
		if ok && !lost.Started && c.wasHandled(c.script[i]) {
			c.t.Errorf("call %d was handled, and is said not to have been started", i)
		}
	}
}

func (c *conversation) wasHandled(args []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.handled, fmt.Sprint(args))
}

func (c *conversation) serve(fds rpc.FDs) error {
	p := peer{server: c.server, wire: c.wire, saw: func(args []string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.handled = append(c.handled, fmt.Sprint(args))
	}}
	return p.serve(fds)
}

// lengths is how many bytes each side sends in the whole conversation. The servers
// may answer in different orders; the sum is the same.
func lengths(t *testing.T, server string, wire rpc.Wire) (toChild, toParent int64) {
	c := conversation{fixture: newFixture(t), server: server, wire: wire}
	c.hold()
	for i, r := range c.calls {
		if isLost(r.err) {
			t.Fatalf("call %d of the whole conversation: %v", i, r.err)
		}
	}
	return c.tr.Passed()
}

// stride is 1 where it is quick: with the race detector, on the other backends, and under -short some bytes
// are left out.
func stride() int64 {
	if testing.Short() || raceDetector || os.Getenv("EVFORK_BACKEND") != "" {
		return 7
	}
	return 1
}

// eachByte runs a conversation with a fault at every byte of one direction.
func eachByte(t *testing.T, fault rpctest.Fault, check func(t *testing.T, c *conversation, at int64)) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			toChild, toParent := lengths(t, server, rpc.Evfork)
			for direction, length := range []int64{toChild, toParent} {
				for at := int64(0); at <= length; at += stride() {
					t.Run(fmt.Sprint([]string{"to child ", "to parent "}[direction], at), func(t *testing.T) {
						fault.At = at
						c := conversation{fixture: newFixture(t), server: server}
						c.config.EOFWait = time.Millisecond
						faults := rpctest.Faults{List: []rpctest.Fault{fault}}
						if direction == 0 {
							c.config.ToChild = faults
						} else {
							c.config.ToParent = faults
						}
						c.hold()
						check(t, &c, at)
					})
				}
			}
		})
	}
}

// A child killed after any byte, in either direction: what was answered before is
// answered, everything else is lost to signal 9.
func TestKillAtEveryByte(t *testing.T) {
	eachByte(t, rpctest.Fault{Do: rpctest.Kill}, func(t *testing.T, c *conversation, _ int64) {
		for i, r := range c.calls {
			exit, ok := errors.AsType[*child.ExitError](r.err)
			if isLost(r.err) && (!ok || exit.State.Signal != 9 || exit.Reason != nil) {
				t.Errorf("call %d was lost to %v", i, r.err)
			}
		}
	})
}

// The end of one direction after any byte.
func TestHalfCloseAtEveryByte(t *testing.T) {
	eachByte(t, rpctest.Fault{Do: rpctest.HalfClose}, func(*testing.T, *conversation, int64) {})
}

// A byte too much after any byte. What it makes of the bytes behind it may be
// anything, but every call ends.
func TestGarbageAtEveryByte(t *testing.T) {
	eachByte(t, rpctest.Fault{Do: rpctest.Insert, Data: []byte{0x80}}, func(*testing.T, *conversation, int64) {})
}

// Bytes lost, and bytes repeated, after any byte.
func TestLossAndRepetitionAtEveryByte(t *testing.T) {
	for _, fault := range []rpctest.Fault{{Do: rpctest.Drop, N: 1}, {Do: rpctest.Drop, N: 9}, {Do: rpctest.Repeat, N: 9}} {
		eachByte(t, fault, func(*testing.T, *conversation, int64) {})
	}
}

// On Linux what was not read is known to the byte: with the child killed after n
// bytes, exactly those calls were started that lie within them.
func TestStartedIsExactAtEveryByte(t *testing.T) {
	if !unreadIsKnown {
		t.Skip("the OS does not tell how much lies in a pipe")
	}
	length, _ := lengths(t, "sync", rpc.Evfork)
	for at := range length + 1 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			// Once the input is half-closed nobody can ask how much lies in the pipe.
			c := conversation{fixture: newFixture(t), server: "sync", stay: true}
			c.config.ToChild.List = []rpctest.Fault{{At: at, Do: rpctest.Kill}}
			c.config.ToParent.List = []rpctest.Fault{{Do: rpctest.Stall}} // nothing is answered
			c.hold()
			end := int64(len(clientHello))
			for i, r := range c.calls {
				end += int64(len(frame(0, string(rpc.Strings(c.script[i]...)))))
				lost, ok := errors.AsType[*rpc.LostError](r.err)
				if !ok || lost.Started != (end <= at) {
					t.Errorf("call %d, which ends after %d bytes of %d read: %v", i, end, at, r.err)
				}
			}
		})
	}
}

// However the bytes of either direction are cut, the conversation is the same.
func TestPiecesOfAnySizeChangeNothing(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		for _, wire := range []rpc.Wire{rpc.Evfork, rpc.AnyEventAsync} {
			for _, piece := range []int{1, 2, 3, 7, 8, 9, 31, 0} {
				t.Run(fmt.Sprint(server, "/", wire, "/", piece), func(t *testing.T) {
					c := conversation{fixture: newFixture(t), server: server, wire: wire}
					c.config.ToChild.Piece, c.config.ToParent.Piece = piece, piece
					if wire != rpc.Evfork { // where an error is the end of the child
						c.script = [][]string{script[0], script[2], script[3], script[4]}
					}
					c.hold()
					for i, r := range c.calls {
						if isLost(r.err) {
							t.Errorf("call %d: %v", i, r.err)
						}
					}
					if len(c.watched.events) != 1 || c.watched.destroyed != 1 {
						t.Errorf("events %q; OnError: %v", c.watched.events, c.watched.err)
					}
				})
			}
		}
	}
}
