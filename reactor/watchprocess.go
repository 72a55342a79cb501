package reactor

import (
	"fmt"
	"math"
	"slices"
)

// A ProcessWatcher calls back once, when a process has exited. All methods belong
// to the loop's goroutine.
type ProcessWatcher struct {
	watcher
	pid int
	fn  func()
}

// An exitSource is a way of the operating system's to tell that a process has
// exited. A loop chooses one at first use. It reports by ProcessWatcher.exited, on
// the loop and not inside watch.
type exitSource interface {
	watch(w *ProcessWatcher) error
	unwatch(w *ProcessWatcher)
	// close frees what the source has for itself, when nothing is watched.
	close()
}

// WatchProcess calls fn once when the process pid has exited. It only reports:
// whoever started the process still has to reap it, so os/exec's children stay
// os/exec's; wait4 may have to wait for a moment, on some systems, and for a process that is
// traced until its tracer has seen the exit. pid must not have been reaped: numbers are reused. A process that has exited already is
// reported in the next iteration; for a number without a process the error is an
// *OpError with ESRCH.
//
// It uses pidfds on Linux and EVFILT_PROC with kqueue. Where neither can be had it
// waits for SIGCHLD, with one goroutine per loop, and asks for each watched process
// by its number; then pid must be a child of this process (else ECHILD), and it
// counts as exited when somebody else has reaped it. Where that cannot be had
// either, the error is ErrUnsupported.
func (l *Loop) WatchProcess(pid int, fn func()) (*ProcessWatcher, error) {
	w := &ProcessWatcher{watcher: newWatcher(l), pid: pid, fn: fn}
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w, nil
}

// PID is the number of the process.
func (w *ProcessWatcher) PID() int { return w.pid }

// Start starts a stopped watcher again. The rules of WatchProcess apply: the
// process must not have been reaped meanwhile.
func (w *ProcessWatcher) Start() error {
	l := w.loop
	switch {
	case w.active:
		return nil
	case l.closing:
		return ErrClosed
	case w.pid <= 0 || w.pid > math.MaxInt32:
		return ErrInvalid
	}
	if l.exits == nil {
		source, err := l.openExits()
		if err != nil {
			return err
		}
		l.exits = source
	}
	if err := l.exits.watch(w); err != nil {
		return opError(fmt.Sprintf("watch process %d", w.pid), -1, err)
	}
	w.setActive(true)
	if l.watched == nil {
		l.watched = make(map[*ProcessWatcher]struct{})
	}
	l.watched[w] = struct{}{}
	return nil
}

// Stop stops the watcher: it does not call any more.
func (w *ProcessWatcher) Stop() {
	if w.active {
		w.loop.unpend(&w.watcher)
		w.setActive(false)
		delete(w.loop.watched, w)
		w.loop.exits.unwatch(w)
	}
}

// Feed has the watcher called in the next iteration as if the process had exited.
// It returns ErrNotActive if the watcher is stopped.
func (w *ProcessWatcher) Feed() error { return w.loop.feed(&w.watcher, w, 0) }

// exited is what a source calls: the callback follows in this iteration.
func (w *ProcessWatcher) exited() {
	if w.active {
		w.loop.pendLate(&w.watcher, w)
	}
}

func (w *ProcessWatcher) invoke(Ready) {
	w.Stop()
	w.fn()
}

func (w *ProcessWatcher) describe() (string, int) { return "process", -1 }

// openExits chooses how this loop hears of exits.
func (l *Loop) openExits() (exitSource, error) {
	for _, open := range []func(*Loop) exitSource{pollerExits, pidfdExits, sigchldExits} {
		if source := open(l); source != nil {
			return source, nil
		}
	}
	return nil, ErrUnsupported
}

// closeExits ends what watches processes, without calling anybody.
func (l *Loop) closeExits() {
	for w := range l.watched {
		w.Stop()
	}
	if l.exits != nil {
		l.exits.close()
		l.exits = nil
	}
}

// A processTable knows the watchers of each process, for sources that watch pids
// and not watchers.
type processTable map[int]*watchedProcess

type watchedProcess struct {
	gen      uint32 // for the poller
	watchers []*ProcessWatcher
}

// remove takes a watcher out, and reports whether it was the last of its process.
func (t processTable) remove(w *ProcessWatcher) (last bool) {
	p := t[w.pid]
	if p == nil {
		return false // being reported
	}
	p.watchers = slices.DeleteFunc(p.watchers, func(other *ProcessWatcher) bool { return other == w })
	if len(p.watchers) > 0 {
		return false
	}
	delete(t, w.pid)
	return true
}

// report tells the watchers of a process. It is out of the table by then: what
// their callbacks start is for a process of its own.
func (t processTable) report(pid int) {
	p := t[pid]
	delete(t, pid)
	for _, w := range p.watchers {
		w.exited()
	}
}
