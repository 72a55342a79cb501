package reactor_test

import (
	"testing"
	"time"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestWriteTimeoutEndsWithTheWriteSide: it went on to count when the reader had gone,
// and closed a stream that was read from.
func TestWriteTimeoutEndsWithTheWriteSide(t *testing.T) {
	var got []reactor.Timeout
	l := newLink(t, newLoop(t), fdtest.Transports()[0], timeoutsOf(&got))
	l.fill(1000)
	l.stream.SetWriteTimeout(time.Hour)
	l.peer.CloseRead()
	l.pollUntil(func() bool { return l.saw("write error") })
	l.stream.Age(2 * time.Hour)
	pollTimes(t, l.loop, 3)
	if len(got) > 0 {
		t.Errorf("%v of a stream that cannot be written to", got)
	}
}
