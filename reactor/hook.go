package reactor

import "slices"

// A Hook is a watcher of the loop itself: its function is called in every
// iteration, at the place its maker names. Hooks of one place are called by
// priority, then in the order of their starts. An active hook keeps Run from
// returning, as in libev: Unref those that only accompany others. All methods
// belong to the loop's goroutine.
type Hook struct {
	watcher
	fn    func()
	list  *[]*Hook
	label string
}

// hooks are the active hooks, in start order.
type hooks struct{ prepare, check, idle, cleanup []*Hook }

// OnPrepare calls fn in every iteration before the wait: the last chance to start
// watchers, to write, or to prepare another library's descriptors. It is called
// before the timeout is found. On a closed loop the hook is stopped.
func (l *Loop) OnPrepare(fn func()) *Hook { return l.newHook(&l.hooks.prepare, "prepare", fn) }

// OnCheck calls fn in every iteration after everything that has happened has
// been called back, and before what was written is flushed. On a closed loop the
// hook is stopped.
func (l *Loop) OnCheck(fn func()) *Hook { return l.newHook(&l.hooks.check, "check", fn) }

// OnIdle calls fn in every iteration in which nothing else of its priority or
// higher happened, and keeps the loop from blocking: it is for work that is done
// when nothing better is to do. Only the idle hooks of the highest priority that
// was not locked out are called. Posts, and callbacks of streams other than OnWriteError, count as of
// priority 0, which cannot be set; other hooks do not count. On a closed loop the hook is stopped.
func (l *Loop) OnIdle(fn func()) *Hook { return l.newHook(&l.hooks.idle, "idle", fn) }

func (l *Loop) newHook(list *[]*Hook, label string, fn func()) *Hook {
	h := &Hook{watcher: newWatcher(l), fn: fn, list: list, label: label}
	h.Start()
	return h
}

// Start starts a stopped hook, behind those that are active. It does nothing to
// an active one, nor on a closed loop.
func (h *Hook) Start() {
	if h.active || h.loop.closing {
		return
	}
	h.setActive(true)
	*h.list = append(*h.list, h)
	h.loop.nudge() // an idle hook must make a host poll
}

// Stop stops the hook; it is not called any more, not even in this iteration.
func (h *Hook) Stop() {
	if !h.active {
		return
	}
	h.loop.unpend(&h.watcher)
	h.setActive(false)
	i := slices.Index(*h.list, h)
	*h.list = slices.Delete(*h.list, i, i+1)
}

func (h *Hook) invoke(Ready)            { h.fn() }
func (h *Hook) describe() (string, int) { return h.label, -1 }

// runPrepare calls the prepare hooks.
func (l *Loop) runPrepare() { l.runHooks(l.hooks.prepare) }

// runCheck calls the check hooks.
func (l *Loop) runCheck() { l.runHooks(l.hooks.check) }

// runIdle calls the idle hooks of the highest priority that nothing has locked
// out: the others would be locked out by these.
func (l *Loop) runIdle() {
	if len(l.hooks.idle) == 0 {
		return
	}
	level := uint8(levels)
	for _, h := range l.hooks.idle {
		level = min(level, h.level)
	}
	if int(level) >= l.pending.first {
		return
	}
	for _, h := range l.hooks.idle {
		if h.level == level {
			l.pend(&h.watcher, h, 0)
		}
	}
	l.guarded((*Loop).invokePending)
}

func (l *Loop) runHooks(list []*Hook) {
	if len(list) == 0 {
		return
	}
	for _, h := range list {
		l.pend(&h.watcher, h, 0)
	}
	l.guarded((*Loop).invokePending)
}
