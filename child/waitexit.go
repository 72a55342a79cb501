package child

import "time"

const (
	// abandonWait bounds the wait for killed processes when the loop is gone: for all of them together, as
	// what keeps one in uninterruptible sleep (a file server that does not answer) keeps others. They must
	// not hang their parent. What counts are the pauses as
	// they were meant: if all was stopped meanwhile, the process has had no time either.
	abandonWait = 10 * time.Second

	// exitMoment is how long the loop waits for a process whose exit has been reported.
	exitMoment = 10 * time.Millisecond

	// Between two looks at it: doubling, from the time that an exit usually takes.
	firstLook = 100 * time.Microsecond
	lastLook  = 20 * time.Millisecond
)

// reapSoon reaps a process that has exited or was just killed, without the loop, and returns what is left of patience. It
// looks again and again: that is the only bounded wait for one process that every Unix
// has.
func (p *Process) reapSoon(patience time.Duration) (left time.Duration) {
	for pause := firstLook; !p.reap() && patience > 0; pause = min(2*pause, lastLook) {
		p.home.sleep(pause)
		patience -= pause
	}
	return patience
}
