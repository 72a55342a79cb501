package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// The ring of cloop/ring.h on this project's loop, and on bare epoll in Go, which
// shows what of the difference to C is the language's.

// A socketPair of the ring is read at one end and written at the other.
type socketPair struct{ read, write int }

// A goRing is a ring whose loop is in Go. ringTurns is one of the loops.
type goRing struct {
	ringScenario
	turns      ringTurns
	fds        []socketPair
	writesLeft int
	fired      int
	bytes      int
	failed     error
	calls      ringCalls
	buffer     [1]byte // here, so that passing it to a call does not allocate
}

// ringTurns is a loop: ring.receive(i) is to be called when fd is readable. run
// makes iterations until done says that it is enough.
type ringTurns interface {
	watch(fd int, ring *goRing, i int) error
	run(done func() bool) error
	close() error
}

// ringCalls are the system calls of a callback: those that do not tell Go's
// scheduler, which the loop's own streams use, or those of x/sys, which do.
type ringCalls struct {
	read, write func(fd int, p []byte) (int, error)
}

func addEvforkRings(r *Registry) {
	raw := ringCalls{reactor.ReadFD, reactor.WriteFD}
	for _, s := range ringScenarios {
		s.enter(r, nameEvfork, raw, openReactorTurns)
		s.enter(r, nameEvfork+", calls of x/sys", ringCalls{unix.Read, unix.Write}, openReactorTurns)
		for name, open := range bareLoops() {
			s.enter(r, name, raw, open)
		}
	}
}

// ringLoops are all loops in Go.
func ringLoops() map[string]func() (ringTurns, error) {
	loops := bareLoops()
	loops[nameEvfork] = openReactorTurns
	return loops
}

func (s ringScenario) enter(r *Registry, name string, calls ringCalls, open func() (ringTurns, error)) {
	r.Enter(s.id, Contestant{Name: name, Calls: ringEvents, GoParent: true, Run: func(sample Sample) (Result, error) {
		turns, err := open()
		if err != nil {
			return Result{}, err
		}
		ring := &goRing{ringScenario: s, turns: turns, calls: calls}
		return ring.measure(sample.Calls)
	}})
}

// reactorTurns is this project's loop.
type reactorTurns struct{ *reactor.Loop }

func openReactorTurns() (ringTurns, error) {
	loop, err := reactor.New(reactor.Config{})
	return reactorTurns{loop}, err
}

func (t reactorTurns) watch(fd int, ring *goRing, i int) error {
	_, err := t.WatchFD(fd, reactor.Read, func(reactor.Ready) { ring.receive(i) })
	return err
}

func (t reactorTurns) run(done func() bool) error { return t.RunUntil(context.Background(), done) }

func (t reactorTurns) close() error { return t.Close() }

// measure is the median of the runs; the first two come on top and do not count.
func (r *goRing) measure(events int) (Result, error) {
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
	return median.result(), r.turns.close()
}

func (r *goRing) open() (err error) {
	r.fds = make([]socketPair, r.size)
	for i := range r.fds {
		if r.fds[i], err = openPair(); err != nil {
			return err
		}
		if err := r.turns.watch(r.fds[i].read, r, i); err != nil {
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
func (r *goRing) once() (lap, error) {
	r.fired, r.bytes, r.writesLeft = 0, 0, r.writes
	for i := range r.active {
		r.send(i * (r.size / r.active))
	}
	took, err := timeLap(func() error { return r.turns.run(r.done) })
	return took.per(r.bytes), errors.Join(err, r.failed)
}

func (r *goRing) done() bool { return r.bytes == r.fired || r.failed != nil }

func (r *goRing) receive(i int) {
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

func (r *goRing) send(i int) {
	if n, err := r.calls.write(r.fds[i].write, r.buffer[:]); n != 1 {
		r.failed = fmt.Errorf("write to socketpair %d: %d bytes: %w", i, n, err)
	}
	r.fired++
}
