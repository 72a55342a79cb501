package child

import (
	"syscall"
	"time"

	"github.com/evfork/evfork/reactor"
)

// ExitStateOf is what a status of wait4 becomes.
func ExitStateOf(status syscall.WaitStatus) ExitState {
	return exitState(status, &syscall.Rusage{})
}

// StderrOf is what is kept of a crashed child's stderr that came in these pieces.
func StderrOf(keep int, pieces ...string) string {
	o := newTail(keep)
	for _, piece := range pieces {
		o.data([]byte(piece))
	}
	return string(o.tailBytes(true))
}

// SleepBy has the loop's end sleep by another function while it looks whether killed processes have exited.
func SleepBy(l *reactor.Loop, sleep func(time.Duration)) error {
	n, err := nurseryOf(l)
	if err == nil {
		n.sleep = sleep
	}
	return err
}
