package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/reactor"
)

// A crowdedPoller has no room for the first descriptors that are added after a Rebuild, as if other
// processes of the user had taken what the set had.
type crowdedPoller struct {
	reactor.Poller
	refuse int
}

func (p *crowdedPoller) Rebuild() error {
	p.refuse = 2
	return p.Poller.Rebuild()
}

func (p *crowdedPoller) Add(fd int, gen uint32, interest reactor.Ready) error {
	if p.refuse > 0 {
		p.refuse--
		return unix.ENOSPC
	}
	return p.Poller.Add(fd, gen, interest)
}

// TestRebuildWithoutRoomIsTriedAgain: a descriptor that was refused then was silent for ever.
func TestRebuildWithoutRoomIsTriedAgain(t *testing.T) {
	epoll, err := poller.Open("epoll")
	must(t, err)
	loop := newLoopWith(t, reactor.Config{Poller: &crowdedPoller{Poller: epoll}})
	p := readyPipe(t)
	calls := 0
	watch(t, loop, p.Read, reactor.Read, func(reactor.Ready) { calls++ })

	leaked := readyPipe(t)
	w, err := loop.WatchFD(leaked.Read, reactor.Read, func(reactor.Ready) {})
	must(t, err)
	dup := fdtest.Dup(t, leaked.Read)
	defer unix.Close(dup)
	leaked.CloseRead()
	wantErr(t, w.Stop(), unix.EBADF)

	pollUntil(t, loop, func() bool { return loop.Stats().Rebuilds > 0 })
	calls = 0
	pollUntil(t, loop, func() bool { return calls > 0 })
	verify(t, loop)
}
