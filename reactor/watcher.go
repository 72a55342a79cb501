package reactor

// watcher is what all kinds of watcher share: whether it is active, and whether
// an active one keeps Run from returning.
type watcher struct {
	loop   *Loop
	active bool
	unref  bool
}

// Active reports whether the watcher has been started and not stopped, and, for
// a one-shot watcher, has not called back yet.
func (w *watcher) Active() bool { return w.active }

// Ref undoes Unref.
func (w *watcher) Ref() {
	if w.unref && w.active {
		w.loop.refs++
	}
	w.unref = false
}

// Unref makes the watcher work on without keeping Run from returning.
func (w *watcher) Unref() {
	if !w.unref && w.active {
		w.loop.refs--
	}
	w.unref = true
}

// setActive moves between stopped and active, counting references.
func (w *watcher) setActive(active bool) {
	if w.active == active {
		return
	}
	w.active = active
	switch {
	case w.unref:
	case active:
		w.loop.refs++
	default:
		w.loop.refs--
	}
}
