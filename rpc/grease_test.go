package rpc_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/rpc"
)

// Frames of kind 14 are for extensions that do not exist yet, and are ignored. So that this
// stays so, a connection here is full of them: of any id, length and content, between the
// frames that both sides send.

// greased connects to a service over a proxy that puts such frames before others. put waits for the
// end of both directions, and tells how many they were.
func (f *fixture) greased(p peer, seed uint64, config rpc.Config) (c *rpc.Client, put func() int) {
	f.t.Helper()
	client, clientProxy := socketpair(f.t)
	serverProxy, server := socketpair(f.t)
	f.servers.Go(func() {
		if err := p.serve(sameFD(server)); err != nil {
			f.t.Errorf("the server: %v", err)
		}
		if p.server != "async" { // whose stream has closed it
			unix.Close(server)
		}
	})
	counts := make(chan int, 2)
	pass := func(from, to int, stream uint64) {
		g := grease{random: rand.New(rand.NewPCG(seed, stream))}
		g.pass(sameFD(from), sameFD(to))
		unix.Shutdown(to, unix.SHUT_WR)
		counts <- g.put
	}
	f.servers.Go(func() { pass(clientProxy, serverProxy, 1) })
	f.servers.Go(func() { pass(serverProxy, clientProxy, 2) })
	put = func() int {
		n := <-counts + <-counts
		unix.Close(clientProxy)
		unix.Close(serverProxy)
		return n
	}
	return f.client(rpc.NewStreamTransport(f.Loop, client, client), p, config), put
}

// Read implements io.Reader.
func (s sameFD) Read(p []byte) (int, error) {
	n, err := unix.Read(int(s), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// Write implements io.Writer.
func (s sameFD) Write(p []byte) (int, error) { return unix.Write(int(s), p) }

// grease is one direction.
type grease struct {
	random *rand.Rand
	put    int
}

// pass passes frames on until the end, the first of which has to be the hello.
func (g *grease) pass(from io.Reader, to io.Writer) {
	for first := true; ; first = false {
		header := make([]byte, 8)
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(header[4:]))
		if _, err := io.ReadFull(from, payload); err != nil {
			return
		}
		var out []byte
		for !first && g.random.IntN(2) == 0 {
			out = append(out, g.frame()...)
			g.put++
		}
		if _, err := to.Write(slices.Concat(out, header, payload)); err != nil {
			return
		}
	}
}

// frame is one that says nothing.
func (g *grease) frame() string {
	payload := make([]byte, g.random.IntN(300))
	for i := range payload {
		payload[i] = byte(g.random.Uint32())
	}
	return frame(14<<28|g.random.Uint32()>>4, string(payload))
}

// The conversation has all kinds of frames: calls and replies, errors, events, parts and credit
// both ways, cancels, metadata, and calls of the child.
func TestFramesForExtensionsChangeNothing(t *testing.T) {
	for _, server := range []string{"sync", "async", "goroutines"} {
		t.Run(server, func(t *testing.T) {
			f := newFixture(t)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			var w watched
			var o oracle
			o.t = t
			c, put := f.greased(peer{server: server, window: 40}, seed, o.config(w.config(rpc.Config{})))
			f.works(c) // from now on the child's features are known
			var calls []*result
			for i := range 100 {
				calls = append(calls, f.begin(c, "echo", fmt.Sprint(i)), f.begin(c, "fail", fmt.Sprint(i)), f.begin(c, "event", fmt.Sprint(i)))
			}
			_, cancelled := f.beginWith(c, rpc.CallOptions{}, "echo", "nobody")
			c.Cancel(cancelled)
			late, _ := f.beginWith(c, within(guard), "parent", "anybody there?")
			var streamed roomy
			s, err := c.GoStream(&streamed, rpc.StreamOptions{Input: true, Window: 40}, request("pipe"))
			must(t, err)
			sent := 0
			streamed.fn = func() {
				for ; sent < 20; sent++ {
					if s.Send(rpc.Strings(fmt.Sprint("part number ", sent))) != nil {
						return
					}
				}
				s.CloseSend()
			}
			streamed.fn()
			f.until(func() bool { return c.InFlight() == 0 })
			c.Shutdown()
			f.until(w.ended)
			for i, r := range calls {
				got, want := fmt.Sprint(r.reply, r.err), fmt.Sprintf("[%d] <nil>", i/3)
				switch i % 3 {
				case 1:
					want = fmt.Sprintf("[] rpc: handler failed: %d", i/3)
				case 2:
					want = "[sent] <nil>"
				}
				if got != want || r.ends != 1 {
					t.Fatalf("call %d ended %d times: with %s, not %s", i, r.ends, got, want)
				}
			}
			if late.err != nil || !slices.Equal(late.reply, []string{"anybody there?"}) || len(w.events) != 100 {
				t.Errorf("the call to the parent and back: %q, %v; %d events", late.reply, late.err, len(w.events))
			}
			if streamed.err != nil || len(streamed.parts) != 20 || w.destroyed != 1 {
				t.Errorf("%d parts came back, %v; the end is %v", len(streamed.parts), streamed.err, w.err)
			}
			if n := put(); n < 100 {
				t.Errorf("only %d frames were put in", n)
			}
		})
	}
}
