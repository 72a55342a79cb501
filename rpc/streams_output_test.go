package rpc_test

import (
	"bytes"
	"testing"

	"github.com/evfork/evfork/rpc"
)

// eachStreamServer runs a test against the servers, here and in a process.
func eachStreamServer(t *testing.T, test func(t *testing.T, p peer)) {
	for _, transport := range []string{"pipes", "socketpair"} {
		for _, server := range []string{"sync", "async", "goroutines"} {
			p := peer{transport: transport, server: server}
			t.Run(p.String(), func(t *testing.T) { test(t, p) })
		}
	}
}

func TestPartsAreRangedOverInTheirOrder(t *testing.T) {
	eachStreamServer(t, func(t *testing.T, p peer) {
		f := newFixture(t)
		c := f.connect(p, rpc.Config{})
		f.background()
		for _, size := range []int{0, 1, 1000, 40_000} {
			s := c.CallStream(t.Context(), rpc.StreamOptions{Window: 10_000}, request("count", 100, size))
			n := 0
			for part, err := range s.Parts() {
				must(t, err)
				if !bytes.Equal(part, partOf(n, size)) {
					t.Fatalf("part %d of %d bytes is %.20q", n, size, part)
				}
				n++
			}
			reply, err := s.Reply()
			must(t, err)
			if n != 100 || string(reply) != "\x03100" {
				t.Errorf("%d parts of %d bytes, reply %q", n, size, reply)
			}
		}
	})
}
