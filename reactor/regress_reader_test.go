package reactor_test

import (
	"testing"

	"github.com/evfork/evfork/reactor"
)

// TestPauseInTheLastUnitKeepsTheEOF: OnEOF was called on a stream that the function of
// the unit that the EOF ends had paused.
func TestPauseInTheLastUnitKeepsTheEOF(t *testing.T) {
	onLinks(t, nil, func(t *testing.T, l *link) {
		must(t, l.stream.Reader().Push(reactor.Line(0).OrEOF(), func([]byte) {
			l.note("unit")
			must(t, l.stream.Pause())
		}))
		l.peer.Send(t, []byte("abc"))
		l.peer.CloseWrite()
		l.pollUntil(func() bool { return l.saw("unit") })
		pollTimes(t, l.loop, 2)
		l.wantCalls("unit")
		must(t, l.stream.Resume())
		pollTimes(t, l.loop, 2)
		l.wantCalls("unit eof")
	})
}
