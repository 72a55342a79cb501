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

// processExited dispatches an event of the poller's that is about a process and
// not about a descriptor, and reports whether anybody was still interested.
func (l *Loop) processExited(ev *poller.Event) bool {
	s, ok := l.exits.(*pollerSource)
	if !ok {
		return false
	}
	p := s.processes[int(ev.FD)]
	if p == nil || p.gen != ev.Gen {
		return false
	}
	s.processes.report(int(ev.FD))
	return true
}
