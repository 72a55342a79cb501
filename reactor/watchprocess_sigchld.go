package reactor

import (
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/waitpeek"
)

// askAgain is how long an exit goes unnoticed whose signal is lost.
const askAgain = 5 * time.Second

// sigchldSource asks for each watched process after every SIGCHLD. The signal says
// nothing itself: several exits may be one signal. And macOS is said to lose some
// (https://github.com/libuv/libuv/pull/3441), so it asks now and then without one.
// Nothing is reaped, and nobody else's child asked for: wait4(-1) would take what
// belongs to others.
type sigchldSource struct {
	loop      *Loop
	processes processTable
	signals   chan os.Signal
	ended     chan struct{}
	again     Timer // active while something is watched; unreferenced: the watchers keep Run from returning
}

// sigchldExits tries whether a process can be asked for without being reaped.
func sigchldExits(l *Loop) exitSource {
	if _, err := waitpeek.Exited(os.Getpid()); err != unix.ECHILD {
		return nil // ENOSYS, or whatever a filter's author has chosen
	}
	s := &sigchldSource{
		loop:      l,
		processes: make(processTable),
		signals:   make(chan os.Signal, 1), // one that waits is enough
		ended:     make(chan struct{}),
	}
	l.InitTimer(&s.again, s.check)
	s.again.level = ownLevel
	s.again.Unref()
	signal.Notify(s.signals, syscall.SIGCHLD)
	go s.run()
	return s
}

func (s *sigchldSource) run() {
	defer close(s.ended)
	for range s.signals {
		if s.loop.Post(s.signalled) != nil {
			return // the loop has ended
		}
	}
}

// watch comes after the signal has been asked for, so that the exit is either
// seen here or signalled.
func (s *sigchldSource) watch(w *ProcessWatcher) error {
	if p := s.processes[w.pid]; p != nil {
		p.watchers = append(p.watchers, w)
		return nil
	}
	exited, err := waitpeek.Exited(w.pid)
	if err == unix.ECHILD && unix.Kill(w.pid, 0) == unix.ESRCH {
		err = unix.ESRCH
	}
	if err != nil {
		return os.NewSyscallError("waitid", err)
	}
	s.processes[w.pid] = &watchedProcess{watchers: []*ProcessWatcher{w}}
	if !s.again.active {
		s.again.Reset(askAgain)
	}
	if exited {
		return s.loop.Post(s.signalled)
	}
	return nil
}

func (s *sigchldSource) unwatch(w *ProcessWatcher) {
	s.processes.remove(w)
	if len(s.processes) == 0 {
		s.again.Stop()
	}
}

// signalled is posted.
func (s *sigchldSource) signalled() {
	s.loop.ownPost()
	s.check()
}

// check reports who has exited. One that is no child any more has been reaped by
// somebody else, and had exited then.
func (s *sigchldSource) check() {
	for _, pid := range slices.Sorted(maps.Keys(s.processes)) {
		if exited, err := waitpeek.Exited(pid); (exited || err != nil) && s.processes[pid] != nil {
			s.processes.report(pid)
		}
	}
	if len(s.processes) > 0 {
		s.again.Reset(askAgain)
	}
}

func (s *sigchldSource) close() {
	s.again.Stop()
	signal.Stop(s.signals)
	close(s.signals) // nothing is sent to it any more
	<-s.ended
}
