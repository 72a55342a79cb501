package child

import (
	"sync"
	"syscall"
	"time"

	"github.com/evfork/evfork/internal/waitpeek"
	"github.com/evfork/evfork/reactor"
)

// A Process is a child that was started. Its methods belong to the loop's
// goroutine, except those documented as goroutine-safe.
type Process struct {
	home    *nursery
	loop    *reactor.Loop
	config  Config
	pid     int
	started time.Time

	mu     sync.Mutex // guards the pid against being signalled after it was reaped
	reaped bool
	asked  Asked

	toChild, fromChild int // protocol, until it is opened; then -1
	protocol           *reactor.Stream
	stdout, stderr     *output
	watcher            *reactor.ProcessWatcher

	handshake alarm // StartTimeout
	patience  alarm // after an EOF, and between the steps of the ladder
	climbing  bool  // the ladder has been started
	exited    bool  // reported by the watcher, being drained or reaped
	ended     bool  // OnExit and OnEnd have been or are being called
	offence   error // for which it is put down if it does not exit
	reason    error // why it was put down
	state     ExitState
	cause     error
	onExit    []func(ExitState)
	onEnd     []func(cause error)
}

// PID is the process id. Goroutine-safe; the number may belong to another process
// once this one has been reaped, so signal through the methods below.
func (p *Process) PID() int { return p.pid }

// Name is the worker's name, or the path. Goroutine-safe.
func (p *Process) Name() string { return p.config.name() }

// Loop is the loop that the process was started on. Goroutine-safe.
func (p *Process) Loop() *reactor.Loop { return p.loop }

// Signal sends a signal to the process itself, not to its group. It returns
// ErrExited once the process has been reaped. Goroutine-safe.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return p.error("signal", ErrExited)
	}
	return p.error("signal", syscall.Kill(p.pid, sig))
}

// Kill sends SIGKILL to the process and its group. Goroutine-safe.
func (p *Process) Kill() error { return p.kill(AskedByKill) }

// Stop ends the process by the ladder of its Config: EOF on its input, then
// SIGTERM, then SIGKILL. It returns at once; OnExit tells. Goroutine-safe.
func (p *Process) Stop() error { return p.StopWith(p.config.Ladder) }

// StopWith is Stop with another ladder. A ladder that has been started is not
// replaced. Goroutine-safe.
func (p *Process) StopWith(ladder Ladder) error {
	ladder.applyDefaults()
	return p.loop.Post(func() { p.stop(ladder) })
}

// OnExit has fn called once when the process has exited and been reaped, after
// its last output was delivered; or when the loop has ended before, with a state that
// is not Known. Of a process that is gone already fn is posted to the loop, and so, after
// the loop's end, never called.
func (p *Process) OnExit(fn func(ExitState)) {
	if !p.ended {
		p.onExit = append(p.onExit, fn)
		return
	}
	p.loop.Post(func() { fn(p.state) })
}

// OnEnd has fn called once when the process is gone and everything it wrote has
// been delivered, except what a Reader has not been asked for. cause is a *ExitError, or reactor.ErrClosed if the loop was
// closed, or has failed. It is like OnExit otherwise. Part of rpc.Transport.
func (p *Process) OnEnd(fn func(cause error)) {
	if !p.ended {
		p.onEnd = append(p.onEnd, fn)
		return
	}
	p.loop.Post(func() { fn(p.cause) })
}

// Open claims the transport: it returns the stream to and from the child, once.
// Nothing is read before. The start timeout runs from here to Ready. Part of
// rpc.Transport.
func (p *Process) Open(config reactor.StreamConfig) (*reactor.Stream, error) {
	switch {
	case p.ended || p.exited:
		return nil, p.error("open", ErrExited)
	case p.protocol != nil:
		return nil, p.error("open", ErrClaimed)
	}
	s, err := p.loop.NewStream(p.fromChild, p.toChild, p.observe(config))
	if err != nil {
		return nil, p.error("open", err)
	}
	p.protocol, p.fromChild, p.toChild = s, -1, -1
	if p.config.StartTimeout > 0 {
		p.handshake.start(p.loop, p.config.StartTimeout, p.startTimedOut)
	}
	return s, nil
}

// startTimedOut takes what the child has written, and asks whether it has exited, before it holds the timeout against it: the
// poller reports a part of what is ready if that is much, as when many children were started together.
func (p *Process) startTimedOut() {
	if !p.protocol.Paused() {
		p.protocol.Drain()
	}
	if p.handshake.timer != nil { // else Ready, or gone
		p.endStart(exitLooks)
	}
}

// endStart puts the child down, unless it has crashed, and it takes long until how is known: its core is being dumped.
func (p *Process) endStart(looks int) {
	switch {
	case p.hasExited():
	case looks > 0 && waitpeek.Exiting(p.pid):
		p.handshake.start(p.loop, eofPatience, func() { p.endStart(looks - 1) })
	default:
		p.Abort(ErrStartTimeout)
	}
}

// hasExited asks the system: the watcher may have yet to be told.
func (p *Process) hasExited() bool {
	exited, _ := waitpeek.Exited(p.pid) // where it cannot be asked, the watcher has the last word
	return exited
}

// Ready says that the child has completed its handshake: the start timeout is
// over. Part of rpc.Transport.
func (p *Process) Ready() { p.handshake.stop() }

// Abort puts the process down at once because of what it did. The reason becomes
// part of the ExitError. Part of rpc.Transport.
func (p *Process) Abort(reason error) {
	if p.reason == nil {
		p.reason = reason
	}
	p.kill(AskedByAbort)
}

func (p *Process) kill(by Asked) error {
	p.setAsked(by)
	return p.signalGroup(syscall.SIGKILL)
}

// stop is StopWith on the loop.
func (p *Process) stop(ladder Ladder) {
	p.setAsked(AskedByStop)
	p.climb(ladder)
}

// setAsked keeps the first answer to who asked for the end.
func (p *Process) setAsked(by Asked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == AskedByNobody {
		p.asked = by
	}
}

// signalGroup signals the process and whatever it has started that stayed in
// its group, as long as the number is certainly its own.
func (p *Process) signalGroup(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return p.error("signal", ErrExited)
	}
	if p.config.SharedGroup {
		return p.error("signal", syscall.Kill(p.pid, sig))
	}
	err := syscall.Kill(-p.pid, sig)
	if group, unknown := syscall.Getpgid(p.pid); unknown == nil && group != p.pid {
		err = syscall.Kill(p.pid, sig) // it has moved to another group, and perhaps left none behind
	}
	return p.error("signal", err)
}

// closeInput half-closes the protocol, after what is queued.
func (p *Process) closeInput() {
	if p.protocol != nil {
		p.protocol.CloseWrite()
		return
	}
	closeAll(p.toChild)
	p.toChild = -1
}

func (p *Process) error(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, PID: p.pid, Name: p.Name(), Err: err}
}

// alarm is a timer that is not there until it is used.
type alarm struct{ timer *reactor.Timer }

// start replaces what was started before. The alarm comes after what has happened
// in the same iteration: if the loop was busy, an exit or a handshake that was in
// time may be seen together with it.
func (a *alarm) start(l *reactor.Loop, d time.Duration, fn func()) {
	a.stop()
	a.timer = l.AfterFunc(d, fn)
	_ = a.timer.SetPriority(reactor.MinPriority) // a timer that was just made is not pending
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}
