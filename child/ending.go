package child

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/internal/waitpeek"
	"github.com/evfork/evfork/reactor"
)

// eofPatience is how long a child whose pipe has ended may take to exit. The
// kernel closes the descriptors of a killed process before it reports the exit:
// ending the calls at the EOF would lose the signal from their errors.
const eofPatience = 250 * time.Millisecond

// exitLooks is how often eofPatience is renewed for a child that is exiting, or one that is exiting at its StartTimeout is looked at: 10 s in
// all. One that hangs in the kernel for longer is put on the ladder like others.
const exitLooks = 40

// watch takes charge of a process that has just been started.
func (p *Process) watch(f *files) (err error) {
	p.stderr, err = p.newOutput("stderr", f.stderr, p.config.OnStderr, p.config.StderrTail)
	if err != nil {
		closeAll(f.stdout, f.stderr)
		return err
	}
	if f.stdout >= 0 {
		p.stdout, err = p.newOutput("stdout", f.stdout, p.config.OnStdout, 0)
		if err != nil {
			closeAll(f.stdout)
			return err
		}
	}
	p.watcher, err = p.loop.WatchProcess(p.pid, p.onExited)
	if errors.Is(err, syscall.ESRCH) {
		return p.loop.Post(p.onExited) // it has run, and somebody else has reaped it already
	}
	return err
}

// observe wraps the callbacks of the protocol's stream: its end is also ours.
func (p *Process) observe(config reactor.StreamConfig) reactor.StreamConfig {
	onEOF, onWriteError, onClose := config.OnEOF, config.OnWriteError, config.OnClose
	config.OnEOF = func() {
		p.suspect(ErrClosedPipe)
		if onEOF != nil {
			onEOF()
		}
	}
	config.OnWriteError = func(err error) {
		if errors.Is(err, syscall.EPIPE) {
			p.suspect(ErrClosedPipe)
		} else { // no doing of the child's
			p.suspect(closedHere(err))
		}
		if onWriteError != nil {
			onWriteError(err)
		}
	}
	config.OnClose = func(err error) {
		defer p.protocolClosed(err) // also if the callback panics
		if onClose != nil {
			onClose(err)
		}
	}
	return config
}

// protocolClosed is called when the protocol's stream has been closed, and why.
func (p *Process) protocolClosed(err error) {
	switch {
	case err == reactor.ErrClosed: // itself: a panic may be an ErrClosed, too
		p.end(err) // the loop ends before the process
	case err != nil:
		p.suspect(closedHere(err))
	}
}

func closedHere(err error) error {
	return fmt.Errorf("went on running after its protocol was closed here: %w", err)
}

// suspect is called when the child has closed a side of its protocol, or an error here has closed both. Usually
// its exit is reported at once; if not, it is put on the ladder, for the first reason that there was.
func (p *Process) suspect(offence error) {
	if p.exited || p.climbing {
		return
	}
	if p.offence == nil {
		p.offence = offence
	}
	p.awaitExit(exitLooks)
}

// awaitExit has patience with a child that has closed its protocol, and more of it
// with one that is exiting: where processors are scarce, it may wait for one
// between closing its descriptors and being reported.
func (p *Process) awaitExit(looks int) {
	p.patience.start(p.loop, eofPatience, func() {
		if looks > 0 && (p.hasExited() || waitpeek.Exiting(p.pid)) {
			p.awaitExit(looks - 1)
			return
		}
		p.setAsked(AskedByAbort)
		p.reason = errors.Join(p.reason, p.offence)
		p.climb(p.config.Ladder)
	})
}

// onExited takes what the process has left, kills what is left of its group
// while the number is still its own, and reaps it. Pipes are read up to EAGAIN
// and not to the EOF: a grandchild may hold them for ever.
func (p *Process) onExited() {
	p.exited = true
	p.patience.stop()
	p.handshake.stop()
	p.bury()
}

// bury is done again for what is left if a callback panics, when the stream that it
// came from has been told. What has been taken is not there any more.
func (p *Process) bury() {
	buried := false
	defer func() {
		if !buried {
			_ = p.loop.Post(p.bury) // refused if the loop has failed: its Close reaps
		}
	}()
	if p.protocol != nil {
		p.protocol.Drain()
		p.endUnits()
	}
	p.stdout.finish()
	p.stderr.finish()
	if !p.config.SharedGroup {
		p.signalGroup(syscall.SIGKILL) // ESRCH when nothing is left
	}
	buried = true
	p.settle(exitMoment)
}

// settle reaps the process and tells of its end. An exit that was reported before wait4 knows of it, as some systems do, takes a moment,
// for which the loop waits. One that a tracer has yet to look at, a debugger for example, may take hours: the loop looks again.
func (p *Process) settle(moment time.Duration) {
	p.reapSoon(moment)
	if !p.reaped {
		p.patience.start(p.loop, lastLook, func() { p.settle(0) })
		return
	}
	p.end(nil)
}

// endUnits ends a unit that an EOF would end (reactor.Unit.OrEOF): while a grandchild holds the pipe there is none.
func (p *Process) endUnits() {
	if fd, _ := p.protocol.FDs(); fd >= 0 && p.protocol.HasReader() { // else it came, or nobody wants to read
		_ = p.protocol.Reader().End() // any other beginning of a unit is for PipeTo and Detach in what is called next
	}
}

// reap takes the exit status, if wait4 has it, and reports whether it has.
func (p *Process) reap() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status syscall.WaitStatus
	var usage syscall.Rusage
	pid, err := wait4(p.pid, &status, syscall.WNOHANG, &usage)
	switch {
	case err == nil && pid == 0:
		return false
	case err == nil:
		p.state = exitState(status, &usage)
	} // else ECHILD: somebody called wait4(-1) and has it
	p.reaped = true
	p.state.Stderr = p.stderr.tailBytes(p.state.maybeCrashed())
	p.state.Lifetime = time.Since(p.started)
	p.state.Asked = p.asked
	return true
}

func wait4(pid int, status *syscall.WaitStatus, options int, usage *syscall.Rusage) (int, error) {
	for {
		got, err := syscall.Wait4(pid, status, options, usage)
		if err != syscall.EINTR {
			return got, err
		}
	}
}

// end tells whoever asked, once. A loop that ends first is the cause then.
func (p *Process) end(loopEnded error) {
	if p.ended {
		return
	}
	p.ended = true
	p.patience.stop()
	p.handshake.stop()
	p.cause = loopEnded
	if p.reaped {
		delete(p.home.processes, p)
	}
	if p.home.closed {
		p.cause = reactor.ErrClosed
	}
	if p.cause == nil {
		p.cause = &ExitError{Name: p.Name(), PID: p.pid, State: p.state, Reason: p.reason}
	}
	callback.InTurn(
		func() { callback.All(&p.onExit, func(fn func(ExitState)) { fn(p.state) }) },
		func() { callback.All(&p.onEnd, func(fn func(error)) { fn(p.cause) }) },
		p.closeFiles,
	)
}

func (p *Process) closeFiles() {
	if p.protocol != nil {
		p.protocol.CloseAfterFlush(0) // an EOF for whom it is piped to, and an end of reading for who is piped to it
		p.protocol.Close()
	}
	closeAll(p.toChild, p.fromChild)
	p.toChild, p.fromChild = -1, -1
	p.stdout.close()
	p.stderr.close()
}

// abandon reaps a killed process without the loop, and returns what is left of patience.
func (p *Process) abandon(patience time.Duration) (left time.Duration) {
	if p.watcher != nil {
		p.watcher.Stop()
	}
	left = p.reapSoon(patience)
	p.closeFiles()
	return left
}
