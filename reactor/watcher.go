package reactor

// watcher is what all kinds of watcher share: whether it is active, whether an
// active one keeps Run from returning, and what it is pending for.
type watcher struct {
	loop    *Loop
	active  bool
	unref   bool
	level   uint8 // normalLevel minus its priority, or ownLevel
	pending int32 // place in the pending queue of its level, from 1; below 0: among those fed
}

func newWatcher(l *Loop) watcher { return watcher{loop: l, level: normalLevel} }

func (w *watcher) base() *watcher { return w }

// Active reports whether the watcher has been started and not stopped, and, for
// a one-shot watcher, has not called back yet.
func (w *watcher) Active() bool { return w.active }

// Pending reports whether what the watcher waits for has happened and its
// callback is still to come. Stopping the watcher now prevents the call.
func (w *watcher) Pending() bool { return w.pending != 0 }

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

// Priority returns what SetPriority has set; 0 at first.
func (w *watcher) Priority() int { return normalLevel - int(w.level) }

// SetPriority orders the watcher's callbacks within an iteration: those of
// higher priority come first; of equal priority, timers before descriptors. It
// does not make one iteration come before another. It returns ErrInvalid for a
// priority beyond MinPriority and MaxPriority, and ErrPending while Pending.
func (w *watcher) SetPriority(priority int) error {
	switch {
	case priority < MinPriority || priority > MaxPriority:
		return ErrInvalid
	case w.pending != 0:
		return ErrPending
	}
	w.level = uint8(normalLevel - priority)
	return nil
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
