package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// TestEdgeTriggeredStreamGoesOnWithWhatOneTurnHasLeft: more lies in the pipe than a stream reads before others have their
// turn, and nothing comes that would have the poller report it again.
func TestEdgeTriggeredStreamGoesOnWithWhatOneTurnHasLeft(t *testing.T) {
	got, hooked := 0, 0
	l := newLink(t, newLoop(t), edgeTriggered, func(*link) reactor.StreamConfig {
		return reactor.StreamConfig{OnData: func(data []byte) { got += len(data) }}
	})
	r, _ := l.stream.FDs()
	const size = 4 * reactor.ReadBufferSize
	if _, err := unix.FcntlInt(uintptr(r), unix.F_SETPIPE_SZ, size); err != nil {
		t.Skip("this user's pipes are smaller: ", err)
	}
	l.peer.Send(t, make([]byte, size))
	check := l.loop.OnCheck(func() { hooked++ })
	for range 4 {
		must(t, l.loop.Poll(0))
	}
	check.Stop()
	if got != size || hooked != 4 {
		t.Errorf("read %d of %d bytes in %d iterations", got, size, hooked)
	}
}
