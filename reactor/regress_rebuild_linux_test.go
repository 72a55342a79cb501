package reactor_test

import (
	"testing"
	"time"

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

	leak(t, loop)

	pollUntil(t, loop, func() bool { return loop.Stats().Rebuilds > 0 })
	calls = 0
	pollUntil(t, loop, func() bool { return calls > 0 })
	verify(t, loop)
}

// TestIdleHookIsCalledThoughALostDescriptorIsTriedAgain: nobody is told of that.
func TestIdleHookIsCalledThoughALostDescriptorIsTriedAgain(t *testing.T) {
	epoll, err := poller.Open("epoll")
	must(t, err)
	clock := &handClock{}
	loop := newLoopWith(t, reactor.Config{Poller: &crowdedPoller{Poller: epoll}, Clock: clock})
	watch(t, loop, pipe(t).Read, reactor.Read, func(reactor.Ready) {})
	leak(t, loop)
	idle := 0
	hook := loop.OnIdle(func() { idle++ })
	pollUntil(t, loop, func() bool { return loop.Stats().Rebuilds > 0 })
	idle = 0
	clock.now += time.Second
	tried := loop.Stats().Timers
	pollTimes(t, loop, 1)
	if loop.Stats().Timers == tried {
		t.Error("it was not tried again")
	}
	if idle != 1 {
		t.Error("the idle hook was not called")
	}
	hook.Stop()
}

// leak has the kernel go on reporting a descriptor that is not watched any more.
func leak(t *testing.T, loop *reactor.Loop) {
	leaked := readyPipe(t)
	w, err := loop.WatchFD(leaked.Read, reactor.Read, func(reactor.Ready) {})
	must(t, err)
	dup := fdtest.Dup(t, leaked.Read)
	t.Cleanup(func() { unix.Close(dup) })
	leaked.CloseRead()
	wantErr(t, w.Stop(), unix.EBADF)
}
