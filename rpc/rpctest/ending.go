package rpctest

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/child"
	"github.com/evfork/evfork/internal/callback"
	"github.com/evfork/evfork/reactor"
)

// Kill ends the child as kill -9 from elsewhere does: what was passed on is all that
// either side gets.
func (tr *Transport) Kill() { tr.kill(child.AskedByNobody) }

// Exit ends the child as os.Exit does, with what was passed on.
func (tr *Transport) Exit(code int) { tr.die(child.ExitState{Known: true, Code: code}) }

// Suspend is SIGSTOP: nothing is passed on, in either direction, and nothing read.
// A server in this process goes on with what it has.
func (tr *Transport) Suspend() { tr.hold(true) }

// Resume is SIGCONT, and ends a Stall.
func (tr *Transport) Resume() { tr.hold(false) }

// CloseOutput closes the child's output behind what was passed on: the parent finds
// an EOF, and the child, unless it ends, is killed after Config.EOFWait.
func (tr *Transport) CloseOutput() { tr.halfClose(&tr.toParent) }

// CloseInput closes the child's input behind what was passed on: the child finds an
// EOF, the parent cannot write.
func (tr *Transport) CloseInput() {
	tr.halfClose(&tr.toChild)
	if tr.gone == nil && !tr.ended {
		tr.suspect(child.ErrClosedPipe)
	}
}

func (tr *Transport) halfClose(l *lane) {
	if !l.ended && !tr.ended {
		l.end()
		l.half()
	}
}

func (tr *Transport) hold(on bool) {
	if tr.ended {
		return
	}
	for _, l := range []*lane{&tr.toChild, &tr.toParent} {
		l.held = on
		if !on && l.stalled {
			l.stalled = false
			l.happen()
		}
		l.update()
	}
	tr.checkGone()
}

// Stop implements rpc.Transport: the child finds the end of its input, and is killed
// if it takes longer than Config.StopWait to end.
func (tr *Transport) Stop() error {
	if tr.ended || tr.stopping {
		return nil
	}
	tr.stopping = true
	if tr.protocol != nil {
		tr.protocol.CloseWrite()
	}
	if tr.patience == nil {
		tr.bePatient(tr.config.StopWait, func() { tr.kill(child.AskedByStop) })
	}
	tr.passStop()
	return nil
}

// passStop stops a wrapped transport, once everything has been passed on to it.
func (tr *Transport) passStop() {
	if tr.inner != nil && tr.stopping && !tr.stopped && tr.toChild.ended && tr.gone == nil {
		tr.stopped = true
		if err := tr.inner.Stop(); err != nil {
			tr.t.Errorf("rpctest: Stop of the wrapped transport: %v", err)
		}
	}
}

// Abort implements rpc.Transport.
func (tr *Transport) Abort(reason error) {
	if tr.reason == nil {
		tr.reason = reason
	}
	tr.kill(child.AskedByAbort)
}

// suspect kills a child that has closed a side, or whose stream has failed, and does not end.
func (tr *Transport) suspect(offence error) {
	if tr.patience == nil && !tr.ended {
		tr.bePatient(tr.config.EOFWait, func() {
			tr.reason = errors.Join(tr.reason, offence)
			tr.kill(child.AskedByAbort)
		})
	}
}

// bePatient calls end if the child has not ended in time: if the loop was busy, its end may be seen together with the timeout.
func (tr *Transport) bePatient(d time.Duration, end func()) {
	tr.patience = tr.loop.AfterFunc(d, func() {
		if !tr.hasReturned() { // else that is on its way
			end()
		}
	})
	_ = tr.patience.SetPriority(reactor.MinPriority) // a timer that was just made is not pending
}

// hasReturned reports whether the server function of Start has.
func (tr *Transport) hasReturned() bool {
	if tr.alone || tr.inner != nil {
		return false
	}
	select {
	case <-tr.returned:
		return true
	default:
		return false
	}
}

func (tr *Transport) kill(by child.Asked) {
	if tr.asked == child.AskedByNobody {
		tr.asked = by
	}
	tr.die(child.ExitState{Known: true, Code: -1, Signal: syscall.SIGKILL})
}

// protocolClosed is called when the client's stream has been closed, and why.
func (tr *Transport) protocolClosed(err error) {
	switch {
	case err == error(reactor.ErrClosed): // itself: a panic may be an ErrClosed, too
		tr.finish(err)
	case err != nil && tr.gone == nil:
		tr.suspect(fmt.Errorf("went on running after its protocol was closed here: %w", err))
	}
}

// struck is the end that Faults wanted.
func (tr *Transport) struck(f Fault) {
	if tr.inner == nil && !tr.closing {
		tr.gone = nil // the server may have returned; this byte comes before that
	}
	if f.Do == Exit {
		tr.Exit(f.N)
		return
	}
	tr.Kill()
}

func (tr *Transport) exitError(state child.ExitState) *child.ExitError {
	state.Asked = tr.asked
	return &child.ExitError{Name: tr.config.Name, State: state, Reason: tr.reason}
}

// die cuts both directions where they are. A wrapped transport is put down, and has
// the last word on the cause.
func (tr *Transport) die(state child.ExitState) {
	if tr.ended {
		return
	}
	if tr.closing {
		tr.blame() // what was flushed is what it is put down for
		return
	}
	tr.toParent.end()
	tr.queue = nil
	tr.closeNearRead()
	tr.nearWrite.CloseWrite()
	if tr.gone != nil {
		tr.blame()
		tr.checkGone()
		return
	}
	switch inner := tr.inner.(type) {
	case nil:
	case interface{ Signal(syscall.Signal) error }:
		if tr.reason == nil && tr.asked == child.AskedByNobody {
			_ = inner.Signal(syscall.SIGKILL) // gone already is as good
			return
		}
		tr.inner.Abort(tr.reason)
		return
	default:
		tr.inner.Abort(errors.Join(tr.reason, tr.exitError(state)))
		return
	}
	// What was passed on is in the pipe, or the server has stopped reading.
	tr.far.Close()
	tr.childGone(tr.exitError(state))
}

// blame adds the reason to the cause of a child that was put down when it had
// ended by itself, for what it had written before.
func (tr *Transport) blame() {
	if exit, ok := tr.gone.(*child.ExitError); ok && tr.inner == nil && exit.Reason == nil {
		exit.Reason, exit.State.Asked = tr.reason, tr.asked
	}
}

// childGone is the exit of the child. What it had written before is passed on, then
// its calls end.
func (tr *Transport) childGone(cause error) {
	if tr.gone != nil || tr.ended {
		return
	}
	tr.gone = cause
	if tr.patience != nil {
		tr.patience.Stop()
	}
	if !tr.far.Closed() {
		tr.far.Drain() // paused or not
		tr.far.Close()
	}
	tr.farEOF = true
	tr.closeNearRead()
	tr.toParent.update()
	tr.checkGone()
}

// checkGone ends the transport when the child is gone and all it left is passed on.
// What is behind a stall never comes.
func (tr *Transport) checkGone() {
	l := &tr.toParent
	left := tr.opened && !l.ended && !l.stalled && (len(tr.queue) > 0 || l.held)
	if tr.gone == nil || left || tr.closing || tr.ended {
		return
	}
	l.end()
	tr.closing = true
	if tr.nearWrite.Closed() {
		tr.onNearClosed(nil)
		return
	}
	tr.nearWrite.CloseAfterFlush(-1)
}

// onNearClosed: everything that was passed on is in the client's pipe.
func (tr *Transport) onNearClosed(err error) {
	switch {
	case tr.closing:
		// Not from inside the call that was the cause.
		if tr.loop.Post(func() { tr.finish(tr.gone) }) != nil {
			tr.finish(reactor.ErrClosed)
		}
	case err == error(reactor.ErrClosed):
		tr.finish(err)
	}
}

// finish tells whoever asked, once, and closes everything.
func (tr *Transport) finish(cause error) {
	if tr.ended {
		return
	}
	callback.InTurn(
		func() {
			if s := tr.protocol; s != nil && !s.Closed() && cause != error(reactor.ErrClosed) {
				s.Drain()
			}
		},
		func() { tr.ended, tr.cause = true, cause },
		func() { callback.All(&tr.onEnd, func(fn func(error)) { fn(cause) }) },
		tr.dispose,
	)
}

func (tr *Transport) dispose() {
	if tr.patience != nil {
		tr.patience.Stop()
	}
	tr.toParent.end()
	tr.closeNearRead()
	for _, s := range []*reactor.Stream{tr.protocol, tr.nearWrite, tr.far} {
		if s != nil {
			s.Close()
		}
	}
	for _, fd := range []int{tr.clientRead, tr.clientWrite} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	tr.clientRead, tr.clientWrite = -1, -1
	// The test's cleanup keeps the transport: what it held is let go.
	tr.protocol, tr.nearWrite, tr.far, tr.inner = nil, nil, nil, nil
	tr.buf, tr.queue, tr.toParent.recent, tr.toChild.recent = nil, nil, nil, nil
	tr.cleanup.Stop()
	tr.release()
	close(tr.finished)
}
