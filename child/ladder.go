package child

import (
	"syscall"
	"time"
)

// Ladder is how a process is stopped: its input is half-closed, then it gets
// SIGTERM, then SIGKILL, with a wait after each of the first two.
type Ladder struct {
	// CloseWait is how long the process may take to end by itself after the EOF
	// on its input. 0: 5 s; negative: no time, straight to SIGTERM.
	CloseWait time.Duration
	// TermWait is how long it may take after SIGTERM. 0: 2 s; negative: no
	// SIGTERM, straight to SIGKILL.
	TermWait time.Duration
}

func (l *Ladder) applyDefaults() {
	if l.CloseWait == 0 {
		l.CloseWait = 5 * time.Second
	}
	if l.TermWait == 0 {
		l.TermWait = 2 * time.Second
	}
}

// climb starts the ladder, once.
func (p *Process) climb(ladder Ladder) {
	if p.climbing || p.exited || p.ended {
		return
	}
	p.climbing = true
	p.closeInput()
	if ladder.CloseWait < 0 {
		p.terminate(ladder)
		return
	}
	p.patience.start(p.loop, ladder.CloseWait, func() { p.terminate(ladder) })
}

func (p *Process) terminate(ladder Ladder) {
	if ladder.TermWait < 0 {
		p.signalGroup(syscall.SIGKILL)
		return
	}
	p.signalGroup(syscall.SIGTERM)
	p.patience.start(p.loop, ladder.TermWait, func() { p.signalGroup(syscall.SIGKILL) })
}
