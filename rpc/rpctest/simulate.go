package rpctest

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
	"github.com/evfork/evfork/reactor/reactortest"
)

// Simulate is for a Transport on the loop of a reactortest.Sim, whose poller asks no
// kernel: before each wait it tells the poller which of the transport's descriptors are
// ready. Time is the simulation's then, delays and deadlines take none, and with Pair
// and rpc.ServeAsync on the same loop everything happens in the same order each time.
//
// A loop that has nothing to do while the child lives fails with
// reactortest.ErrDeadlock: run it with Loop.RunUntil. After Start the clock does not
// wait for the server's goroutine; use Pair.
func (tr *Transport) Simulate(sim *reactortest.Sim) {
	tr.t.Helper()
	if sim.Loop != tr.loop {
		tr.t.Fatal("rpctest: Simulate was given the simulation of another loop")
	}
	s := &simulation{transport: tr, poller: sim.Poller, known: make(map[int]reactor.Ready)}
	tr.loop.OnPrepare(s.update).Unref()
}

// simulation asks the kernel for what the poller does not.
type simulation struct {
	transport *Transport
	poller    *reactortest.Poller
	known     map[int]reactor.Ready // what the poller has been told
}

func (s *simulation) update() {
	for _, stream := range s.transport.streams() {
		stream.Flush() // what was queued outside an iteration leaves only after this
	}
	var fds []unix.PollFd
	for _, fd := range s.transport.descriptors() {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT})
	}
	for {
		_, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		s.transport.must(err)
		break
	}
	now := make(map[int]reactor.Ready)
	for _, fd := range fds {
		now[int(fd.Fd)] = readiness(fd.Revents)
	}
	// In order, since the poller reports in the order in which things became ready.
	for _, fd := range slices.Sorted(maps.Keys(s.known)) {
		if gone := s.known[fd] &^ now[fd]; gone != 0 {
			s.poller.Clear(fd, gone)
		}
	}
	for _, fd := range slices.Sorted(maps.Keys(now)) {
		if fresh := now[fd] &^ s.known[fd]; fresh != 0 {
			s.poller.SetReady(fd, fresh)
		}
	}
	s.known = now
}

func readiness(revents int16) (ready reactor.Ready) {
	if revents&unix.POLLIN != 0 {
		ready |= reactor.Read
	}
	if revents&unix.POLLOUT != 0 {
		ready |= reactor.Write
	}
	if revents&(unix.POLLHUP|unix.POLLERR) != 0 {
		ready |= reactor.HangUp
	}
	return ready
}

// streams are those that are open.
func (tr *Transport) streams() (streams []*reactor.Stream) {
	for _, s := range []*reactor.Stream{tr.protocol, tr.nearWrite, tr.far} {
		if s != nil && !s.Closed() {
			streams = append(streams, s)
		}
	}
	return streams
}

// descriptors are those that are open, the server's among them.
func (tr *Transport) descriptors() (fds []int) {
	add := func(fd int) {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	for _, s := range tr.streams() {
		r, w := s.FDs()
		add(r)
		add(w)
	}
	add(tr.nearRead)
	for i := range tr.ends {
		if tr.ends[i].open() {
			add(tr.ends[i].fd)
		}
	}
	return fds
}
