package child

import (
	"runtime"
	"syscall"
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// spawner forks on one thread, which it keeps: the death signal of a child
// comes when the *thread* that forked it ends, and Go ends threads as it likes.
type spawner struct {
	requests chan spawnRequest
	results  chan spawnResult
	stopped  chan struct{}
}

type spawnRequest struct {
	path string
	argv []string
	attr *syscall.ProcAttr
}

type spawnResult struct {
	pid int
	err error
}

func startSpawner() *spawner {
	s := &spawner{make(chan spawnRequest), make(chan spawnResult), make(chan struct{})}
	go s.run()
	return s
}

// run is never unlocked from its thread, so that the thread ends with it.
func (s *spawner) run() {
	runtime.LockOSThread()
	defer close(s.stopped)
	for r := range s.requests {
		pid, err := syscall.ForkExec(r.path, r.argv, r.attr)
		s.results <- spawnResult{pid, err}
	}
}

// spawn waits for the fork and the exec: one or two milliseconds.
func (s *spawner) spawn(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	s.requests <- spawnRequest{path, argv, attr}
	r := <-s.results
	return r.pid, r.err
}

// stop ends the thread. No child may be alive that has a death signal.
func (s *spawner) stop() {
	close(s.requests)
	<-s.stopped
}

// nursery is what this package keeps on a loop: the spawner and the processes
// that have not been reaped. It is a reactor.Resident.
type nursery struct {
	spawner   *spawner // started on first use
	processes map[*Process]struct{}
	sleep     func(time.Duration) // between two looks at what was killed; a test's
	ending    bool                // nothing new is started
	closed    bool                // everything ends because the loop does
}

type nurseryKey struct{}

func nurseryOf(l *reactor.Loop) (*nursery, error) {
	r, err := l.Resident(nurseryKey{}, func() reactor.Resident {
		n := &nursery{processes: make(map[*Process]struct{}), sleep: time.Sleep}
		l.OnCleanup(n.loopEnded)
		return n
	})
	if err != nil {
		return nil, err
	}
	n := r.(*nursery)
	if n.ending {
		return nil, reactor.ErrClosed
	}
	return n, nil
}

func (n *nursery) spawn(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if n.spawner == nil {
		n.spawner = startSpawner()
	}
	return n.spawner.spawn(path, argv, attr)
}

// Shutdown puts every process on its ladder.
func (n *nursery) Shutdown() {
	n.ending = true
	for p := range n.processes {
		p.stop(p.config.Ladder)
	}
}

// Close kills every process.
func (n *nursery) Close() {
	n.ending, n.closed = true, true
	for p := range n.processes {
		p.kill(AskedByClose)
	}
}

// Active reports whether processes are still to be reaped.
func (n *nursery) Active() bool { return len(n.processes) > 0 }

// loopEnded ends the processes that the loop has not outlived and whose protocol is not open:
// of the others, the end of the stream tells. A panic in a callback goes on behind the rest.
func (n *nursery) loopEnded() {
	callback.ToTheEnd(func() {
		for p := range n.processes {
			if p.protocol == nil || p.protocol.Closed() {
				p.end(reactor.ErrClosed)
			}
		}
	})
}

// Release reaps what Close could not wait for (or was not asked to: after a
// panic in a callback the loop does not iterate), and ends the spawner's thread.
func (n *nursery) Release() {
	for p := range n.processes {
		p.kill(AskedByClose)
	}
	patience := abandonWait
	for p := range n.processes {
		patience = p.abandon(patience)
	}
	clear(n.processes)
	if n.spawner != nil {
		n.spawner.stop()
		n.spawner = nil
	}
}
