package reactor

import "github.com/evfork/evfork/internal/poller"

// pollerSource hears of exits from the poller, by EVFILT_PROC.
type pollerSource struct {
	poller    poller.ProcessPoller
	processes processTable
	gen       uint32 // of the last process registered
}

func pollerExits(l *Loop) exitSource {
	p, ok := l.poller.(poller.ProcessPoller)
	if !ok {
		return nil
	}
	return &pollerSource{poller: p, processes: make(processTable)}
}

func (s *pollerSource) watch(w *ProcessWatcher) error {
	if p := s.processes[w.pid]; p != nil {
		p.watchers = append(p.watchers, w)
		return nil
	}
	s.gen++
	if err := s.poller.AddProcess(w.pid, s.gen); err != nil {
		return err
	}
	s.processes[w.pid] = &watchedProcess{gen: s.gen, watchers: []*ProcessWatcher{w}}
	return nil
}

func (s *pollerSource) unwatch(w *ProcessWatcher) {
	if s.processes.remove(w) {
		s.poller.RemoveProcess(w.pid)
	}
}

func (s *pollerSource) close() {}

// collectExit makes pending the watchers of a process that has exited, of which
// the poller tells in an event that is not about a descriptor.
func (l *Loop) collectExit(ev *poller.Event) {
	s, ok := l.exits.(*pollerSource)
	if !ok {
		l.stats.Stale++
		return
	}
	p := s.processes[int(ev.FD)]
	if p == nil || p.gen != ev.Gen {
		l.stats.Stale++
		return
	}
	l.stats.Events++
	s.processes.report(int(ev.FD))
}
