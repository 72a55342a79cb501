package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// The ring of cloop/ring.h on this project's loop.

// A socketPair of the ring is read at one end and written at the other.
type socketPair struct{ read, write int }

type evforkRing struct {
	ringScenario
	loop       *reactor.Loop
	fds        []socketPair
	writesLeft int
	fired      int
	bytes      int
	failed     error
	calls      ringCalls
	buffer     [1]byte // here, so that passing it to a call does not allocate
}

// ringCalls are the system calls of a callback: those of any Go program, which
// tell the scheduler, or those that do not, which the loop's streams use. For
// descriptors that do not block both are right.
type ringCalls struct {
	read, write func(fd int, p []byte) (int, error)
}

func ordinaryCalls() ringCalls { return ringCalls{unix.Read, unix.Write} }

func rawCalls() ringCalls {
	return ringCalls{
		read:  func(fd int, p []byte) (int, error) { return rawCall(syscall.SYS_READ, fd, p) },
		write: func(fd int, p []byte) (int, error) { return rawCall(syscall.SYS_WRITE, fd, p) },
	}
}

func addEvforkRings(r *Registry) {
	for _, s := range ringScenarios {
		s.enter(r, nameEvfork, ordinaryCalls())
		s.enter(r, nameEvfork+", raw syscalls", rawCalls())
	}
}

func (s ringScenario) enter(r *Registry, name string, calls ringCalls) {
	r.Enter(s.id, Contestant{Name: name, Calls: ringEvents, GoParent: true, Run: func(sample Sample) (Result, error) {
		ring := &evforkRing{ringScenario: s, calls: calls}
		return ring.measure(sample.Calls)
	}})
}

// measure is the median of the runs; the first two come on top and do not count.
func (r *evforkRing) measure(events int) (Result, error) {
	if err := r.open(); err != nil {
		return Result{}, err
	}
	var cpu, wall []float64
	for i := range r.runs(events) + 2 {
		took, err := r.once()
		if err != nil {
			return Result{}, err
		}
		if i >= 2 {
			cpu, wall = append(cpu, took.cpu), append(wall, took.wall)
		}
	}
	median := lap{summarizeValues(cpu).Median, summarizeValues(wall).Median}
	return median.result(), r.loop.Close()
}

func (r *evforkRing) open() (err error) {
	if r.loop, err = reactor.New(reactor.Config{}); err != nil {
		return err
	}
	r.fds = make([]socketPair, r.size)
	for i := range r.fds {
		if r.fds[i], err = openPair(); err != nil {
			return err
		}
		if _, err := r.loop.WatchFD(r.fds[i].read, reactor.Read, func(reactor.Ready) { r.receive(i) }); err != nil {
			return err
		}
	}
	return nil
}

func openPair() (socketPair, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	for _, fd := range pair {
		if err == nil {
			unix.CloseOnExec(fd)
			err = unix.SetNonblock(fd, true)
		}
	}
	return socketPair{pair[0], pair[1]}, err
}

func (p socketPair) close() {
	unix.Close(p.read)
	unix.Close(p.write)
}

// once measures one run, per event.
func (r *evforkRing) once() (lap, error) {
	r.fired, r.bytes, r.writesLeft = 0, 0, r.writes
	for i := range r.active {
		r.send(i * (r.size / r.active))
	}
	took, err := timeLap(func() error { return r.loop.RunUntil(context.Background(), r.done) })
	return took.per(r.bytes), errors.Join(err, r.failed)
}

func (r *evforkRing) done() bool { return r.bytes == r.fired || r.failed != nil }

func (r *evforkRing) receive(i int) {
	if n, err := r.calls.read(r.fds[i].read, r.buffer[:]); n != 1 {
		r.failed = fmt.Errorf("read of socketpair %d: %d bytes: %w", i, n, err)
	}
	r.bytes++
	if r.writesLeft > 0 {
		r.writesLeft--
		next := i + 1
		if next == r.size {
			next = 0
		}
		r.send(next)
	}
}

func (r *evforkRing) send(i int) {
	if n, err := r.calls.write(r.fds[i].write, r.buffer[:]); n != 1 {
		r.failed = fmt.Errorf("write to socketpair %d: %d bytes: %w", i, n, err)
	}
	r.fired++
}
