package child

import (
	"syscall"
	"time"
)

const (
	// abandonWait bounds the wait for a killed process when the loop is gone. One in
	// uninterruptible sleep must not hang its parent. What counts are the pauses as
	// they were meant: if all was stopped meanwhile, the process has had no time either.
	abandonWait = 10 * time.Second

	// Between two looks at it: doubling, from the time that an exit usually takes.
	firstLook = 100 * time.Microsecond
	lastLook  = 20 * time.Millisecond
)

// reapSoon reaps a process that has just been killed, without the loop. It looks
// again and again: that is the only bounded wait for one process that every Unix
// has, and it happens once in the life of a loop that ends badly.
func (p *Process) reapSoon() {
	pause := firstLook
	for waited := time.Duration(0); !p.reap(syscall.WNOHANG) && waited < abandonWait; {
		time.Sleep(pause)
		waited += pause
		pause = min(2*pause, lastLook)
	}
}
