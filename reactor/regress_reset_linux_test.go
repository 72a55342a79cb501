package reactor_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// TestResetThatAnEarlyWriteMeetsIsTold: Linux tells a write of it once. The one at the end of the iteration met EPIPE then, and reading an EOF.
func TestResetThatAnEarlyWriteMeetsIsTold(t *testing.T) {
	for name, size := range map[string]int{"at the end": 1, "early": 40 << 10, "direct": 100 << 10} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, read: %v", name, reads), func(t *testing.T) {
				loop := newLoop(t)
				ours, theirs := fdtest.TCP(t)
				if !reads {
					ours.Read = -1
				}
				var failure, got error
				closed := false
				s, err := loop.NewStream(ours.Read, ours.Write, reactor.StreamConfig{
					OnWriteError: func(err error) { failure = err },
					OnClose:      func(err error) { got, closed = err, true },
				})
				must(t, err)
				must(t, loop.Post(func() {
					must(t, unix.SetsockoptLinger(theirs.Read, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
					theirs.Close()
					must(t, s.Write(make([]byte, size)))
				}))
				pollUntil(t, loop, func() bool { return closed })
				wantErr(t, failure, unix.ECONNRESET)
				wantErr(t, got, unix.ECONNRESET)
			})
		}
	}
}
