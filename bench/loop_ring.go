package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// The ring of cloop/ring.h on this project's loop.

// ringFD is one socketpair: read from the first, written to the second.
type ringFD struct{ read, write int }

type evforkRing struct {
	ringScenario
	loop       *reactor.Loop
	fds        []ringFD
	writesLeft int
	fired      int
	bytes      int
	failed     error

	// The callbacks' own system calls; see ringCalls.
	calls ringCalls
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
		for _, c := range []struct {
			name  string
			calls ringCalls
			run   func(*evforkRing) error
		}{
			{nameEvfork, ordinaryCalls(), (*evforkRing).runUntil},
			{nameEvfork + ", raw syscalls", rawCalls(), (*evforkRing).runUntil},
			{nameEvfork + ", raw syscalls, Poll(0)", rawCalls(), (*evforkRing).poll},
		} {
			r.Enter(s.id, Contestant{Name: c.name, Calls: ringEvents, GoParent: true, Run: func(sample Sample) (Result, error) {
				ring := &evforkRing{ringScenario: s, calls: c.calls}
				return ring.measure(sample.Calls, c.run)
			}})
		}
	}
}

// measure is the median of the runs; the first two come on top and do not count.
func (r *evforkRing) measure(events int, run func(*evforkRing) error) (Result, error) {
	if err := r.open(); err != nil {
		return Result{}, err
	}
	var took []float64
	for i := range r.runs(events) + 2 {
		nanoseconds, err := r.once(run)
		if err != nil {
			return Result{}, err
		}
		if i >= 2 {
			took = append(took, nanoseconds)
		}
	}
	return Result{Value: summarizeValues(took).Median}, r.loop.Close()
}

func (r *evforkRing) open() (err error) {
	if r.loop, err = reactor.New(reactor.Config{}); err != nil {
		return err
	}
	r.fds = make([]ringFD, r.size)
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

func openPair() (ringFD, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	for _, fd := range pair {
		if err == nil {
			unix.CloseOnExec(fd)
			err = unix.SetNonblock(fd, true)
		}
	}
	return ringFD{pair[0], pair[1]}, err
}

// once returns nanoseconds per event.
func (r *evforkRing) once(run func(*evforkRing) error) (float64, error) {
	r.fired, r.bytes, r.writesLeft = 0, 0, r.writes
	for i := range r.active {
		r.send(i * (r.size / r.active))
	}
	begin := time.Now()
	if err := run(r); err != nil {
		return 0, err
	}
	elapsed := time.Since(begin)
	return float64(elapsed.Nanoseconds()) / float64(r.bytes), r.failed
}

func (r *evforkRing) done() bool { return r.bytes == r.fired || r.failed != nil }

func (r *evforkRing) runUntil() error { return r.loop.RunUntil(context.Background(), r.done) }

// poll is the loop of the C programs: iterations that do not block.
func (r *evforkRing) poll() error {
	for !r.done() {
		if err := r.loop.Poll(0); err != nil {
			return err
		}
	}
	return nil
}

func (r *evforkRing) receive(i int) {
	var b [1]byte
	if n, err := r.calls.read(r.fds[i].read, b[:]); n != 1 {
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
	b := [1]byte{'x'}
	if n, err := r.calls.write(r.fds[i].write, b[:]); n != 1 {
		r.failed = fmt.Errorf("write to socketpair %d: %d bytes: %w", i, n, err)
	}
	r.fired++
}
