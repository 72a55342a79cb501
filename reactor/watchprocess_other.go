//go:build !linux

package reactor

// A ProcessWatcher calls back once, when a process has exited.
type ProcessWatcher struct{ watcher }

// WatchProcess returns ErrUnsupported: this platform's mechanism is not written yet.
func (l *Loop) WatchProcess(pid int, fn func()) (*ProcessWatcher, error) {
	return nil, ErrUnsupported
}

// Stop stops watching.
func (p *ProcessWatcher) Stop() error { return nil }
