package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// What an edge-triggered stream does with its callbacks is what any does: see onLinks.

func TestOnlyAPipeOfWhichNobodyElseHearsIsEdgeTriggered(t *testing.T) {
	for _, c := range []struct {
		name  string
		open  func(testing.TB) (ours, theirs *fdtest.End)
		asked bool
		want  bool
	}{
		{"a pipe", fdtest.Pipes, true, true},
		{"a pipe of packets, perhaps", fdtest.Pipes, false, false},
		{"a socket", fdtest.Sockets, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			loop := newLoop(t)
			ours, theirs := c.open(t)
			t.Cleanup(ours.Close)
			t.Cleanup(theirs.Close)
			fd := fdtest.Dup(t, ours.Read)
			s, err := loop.NewStream(fd, -1, reactor.StreamConfig{EdgeTriggered: c.asked})
			must(t, err)
			t.Cleanup(s.Close)
			registered := func(want bool) {
				t.Helper()
				must(t, loop.Verify())
				if loop.EdgeTriggered(fd) != want {
					t.Errorf("edge-triggered: %v, want %v", !want, want)
				}
			}
			registered(c.want)
			other := watch(t, loop, fd, reactor.Read, func(reactor.Ready) {})
			registered(false)
			must(t, other.Stop())
			registered(c.want)
			must(t, s.Pause())
			must(t, other.Start())
			must(t, s.Resume())
			registered(false)
			must(t, other.Stop())
			registered(c.want)
		})
	}
}
