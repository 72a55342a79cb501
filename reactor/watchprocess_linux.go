package reactor

import "golang.org/x/sys/unix"

// A ProcessWatcher calls back once, when a process has exited.
type ProcessWatcher struct {
	FDWatcher // of the pidfd, which is readable from the exit on
	done      func()
}

// WatchProcess calls fn once when the process pid has exited. It only reports:
// whoever started the process still has to reap it, so os/exec's children stay
// os/exec's. pid must not have been reaped: numbers are reused. A process that
// has exited already is reported in the next iteration.
func (l *Loop) WatchProcess(pid int, fn func()) (*ProcessWatcher, error) {
	if l.closing {
		return nil, ErrClosed
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, opError("pidfd_open", -1, err)
	}
	p := &ProcessWatcher{done: fn}
	p.init(l, pidfd, Read, p.exited)
	p.owned = true
	if err := p.Start(); err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	return p, nil
}

func (p *ProcessWatcher) exited(Ready) {
	p.Stop()
	p.done()
}

// Stop stops watching, for good: the process can be watched again by another
// call of WatchProcess.
func (p *ProcessWatcher) Stop() error {
	if p.fd < 0 {
		return nil
	}
	err := p.FDWatcher.Stop()
	unix.Close(p.fd)
	p.fd = -1
	return err
}
