package reactortest

import (
	"context"
	"testing"

	"github.com/evfork/evfork/reactor"
)

// A Sim is a loop together with the world it is tested in.
type Sim struct {
	Loop   *reactor.Loop
	Clock  *Clock
	Poller *Poller

	t testing.TB
}

// New makes a loop with a Clock and a Poller of its own, which take the place of
// those in config; BusyPoll is taken as 0, since there is nothing to be quick for.
// When the test ends, the loop's invariants are checked (Loop.Verify) and it is
// closed.
func New(t testing.TB, config reactor.Config) *Sim {
	t.Helper()
	s := &Sim{Clock: NewClock(), t: t}
	s.Poller = NewPoller(s.Clock)
	config.Clock, config.Poller, config.BusyPoll = s.Clock, s.Poller, 0
	loop, err := reactor.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.Loop = loop
	t.Cleanup(func() {
		s.verify()
		if err := loop.Close(); err != nil {
			t.Error(err)
		}
		s.verify()
	})
	return s
}

func (s *Sim) verify() {
	if err := s.Loop.Verify(); err != nil {
		s.t.Error(err)
	}
}

// Run runs the loop until it is stopped or nothing is left. An error fails the
// test; ErrDeadlock is one.
func (s *Sim) Run() {
	s.t.Helper()
	if err := s.Loop.Run(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}
