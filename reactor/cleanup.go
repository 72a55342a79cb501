package reactor

// OnCleanup calls fn exactly once, on the loop, when the loop ends: by Close or
// Shutdown, after children have ended and before streams do, or because Run was
// left by a panic. What was hooked last is called first, as with defer, whatever its priority. The loop
// counts as closed by then: nothing can be started, and bytes written to
// streams are lost. Stop takes fn out again; so does its call, and Start puts it
// back.
//
// Unlike other hooks this one is unreferenced: it does not keep Run from
// returning. On a closed loop the hook is stopped and fn is never called.
func (l *Loop) OnCleanup(fn func()) *Hook {
	h := &Hook{watcher: newWatcher(l), fn: fn, list: &l.hooks.cleanup, label: "cleanup"}
	h.Unref()
	h.Start()
	return h
}

// runCleanup calls the cleanup hooks. Entered again after a panic it goes on with
// the next.
func (l *Loop) runCleanup() {
	for n := len(l.hooks.cleanup); n > 0; n = len(l.hooks.cleanup) {
		h := l.hooks.cleanup[n-1]
		h.Stop()
		l.observe(h, func() { h.invoke(0) })
	}
}
