package reactor_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// TestShutdownTellsThatTheWaitFailed: it closed the loop, dropped what streams had queued, and returned nil.
func TestShutdownTellsThatTheWaitFailed(t *testing.T) {
	sim := reactortest.New(t, reactor.Config{})
	var closed error
	s, err := sim.Loop.NewStream(-1, fdtest.Dup(t, pipe(t).Write), reactor.StreamConfig{OnClose: func(err error) { closed = err }})
	must(t, err)
	must(t, s.Write(make([]byte, 1<<20)))
	sim.Poller.FailNext(reactortest.Wait, unix.EINVAL)
	wantErr(t, sim.Loop.Shutdown(context.Background()), unix.EINVAL)
	wantErr(t, closed, reactor.ErrClosed)
}
