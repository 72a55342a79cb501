package reactor_test

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/internal/fdtest"
	"github.com/evfork/evfork/reactor"
)

// modelEnd is one side of a connection of which both are the test's.
type modelEnd struct {
	*fdtest.End
	other *modelEnd // nil: closed
}

// maxEnds keeps the number of descriptors below what a poller fetches at once at
// first (32, with those of the streams and the waker): all that are ready are
// reported in one iteration.
const (
	maxEnds         = 10
	maxDups         = 2
	maxModelStreams = 3
)

func (w *world) newEnds() {
	if len(w.ends) >= maxEnds {
		return
	}
	ours, theirs := one(w, fdtest.Transports()).Open(w.t)
	a, b := &modelEnd{End: ours}, &modelEnd{End: theirs}
	a.other, b.other = b, a
	w.ends = append(w.ends, a, b)
}

func (w *world) closeEnds() {
	if e := one(w, w.ends); e != nil && w.rnd.IntN(3) == 0 {
		w.close(e)
	}
}

// reopenEnds closes and opens at once, so that the numbers are reused in the batch
// in which their events may be waiting.
func (w *world) reopenEnds() {
	if e := one(w, w.ends); e != nil {
		w.close(e)
		w.newEnds()
		w.newWatcher()
	}
}

// leakEnd breaks the rule: it closes an end before its watchers are stopped, while
// a duplicate lives, of which the kernel goes on reporting events under a number
// that is soon somebody else's.
func (w *world) leakEnd() {
	e := one(w, w.ends)
	if e == nil || len(w.dups) >= maxDups {
		return
	}
	w.dups = append(w.dups, fdtest.Dup(w.t, e.Read))
	e.Close()
	w.close(e)
}

func (w *world) closeDup() {
	if len(w.dups) > 0 {
		unix.Close(w.dups[0])
		w.dups = w.dups[1:]
	}
}

// close keeps the rule: the watchers are stopped first; see leakEnd.
func (w *world) close(e *modelEnd) {
	leaked := e.Read < 0
	for _, m := range w.watchers {
		if m.end == e {
			if err := m.watcher.Stop(); err != nil && (!leaked || !errors.Is(err, unix.EBADF)) {
				w.t.Error(err)
			}
			m.stop()
		}
	}
	w.watchers = slices.DeleteFunc(w.watchers, func(m *modelWatcher) bool { return m.end == e })
	w.ends = slices.DeleteFunc(w.ends, func(x *modelEnd) bool { return x == e })
	e.Close()
	if e.other != nil {
		e.other.other = nil
	}
}

// changeEnd has an end say or take something, or shut a direction.
func (w *world) changeEnd() {
	e := one(w, w.ends)
	if e == nil {
		return
	}
	switch w.rnd.IntN(8) {
	case 0:
		if e.Read == e.Write {
			e.CloseWrite() // a socket's; a pipe's descriptor would be gone, under its watchers
		}
	case 1, 2, 3:
		e.Offer(w.t, make([]byte, 1+w.rnd.IntN(20_000)))
	default:
		e.Available(w.t)
	}
}

// modelWatcher is what an FDWatcher has to do.
type modelWatcher struct {
	w        *world
	watcher  *reactor.FDWatcher
	end      *modelEnd
	interest reactor.Ready
	active   bool
	started  int // when, among all starts
	pending  pendingState
	ready    reactor.Ready // what it is pending for
	order    int
	priority int
}

func (w *world) newWatcher() {
	e := one(w, w.ends)
	if e == nil || len(w.watchers) >= 40 {
		return
	}
	m := &modelWatcher{w: w, end: e, interest: w.interest()}
	m.start()
	fd := e.Read
	if w.rnd.IntN(2) == 0 {
		fd = e.Write
	}
	var err error
	m.watcher, err = w.loop.WatchFD(fd, m.interest, m.called)
	must(w.t, err)
	w.watchers = append(w.watchers, m)
}

func (w *world) interest() reactor.Ready { return reactor.Ready(1 + w.rnd.IntN(7)) }

func (m *modelWatcher) start() {
	m.active, m.started = true, m.w.seq
	m.w.seq++
}

func (m *modelWatcher) stop() {
	m.w.unfeed(m)
	m.active, m.pending, m.ready = false, notPending, 0
}

func (w *world) changeWatcher() {
	m := one(w, w.watchers)
	if m == nil {
		return
	}
	m.settle()
	switch w.rnd.IntN(8) {
	case 0, 1:
		must(w.t, m.watcher.Stop())
		m.stop()
	case 2, 3:
		must(w.t, m.watcher.Start())
		if !m.active {
			m.start()
		}
	case 4:
		interest := w.interest()
		must(w.t, m.watcher.SetInterest(interest))
		m.interest = interest
	case 5:
		ready := w.interest()
		err := m.watcher.Feed(ready)
		if !m.active {
			wantErr(w.t, err, reactor.ErrNotActive)
			return
		}
		must(w.t, err)
		m.feed(ready)
	case 6:
		w.setPriority(m.watcher, &m.priority, m.pending != notPending)
	default:
		m.watcher.Unref()
		if w.rnd.IntN(2) == 0 {
			m.watcher.Ref()
		}
	}
}

// feedFD feeds all that ask for it.
func (w *world) feedFD() {
	of := one(w, w.watchers)
	if of == nil {
		return
	}
	fd, ready := of.watcher.FD(), w.interest()
	// Those of one descriptor are in the order of their starts.
	inOrder := slices.SortedFunc(slices.Values(w.watchers), func(a, b *modelWatcher) int { return cmp.Compare(a.started, b.started) })
	for _, m := range inOrder {
		m.settle()
	}
	w.loop.FeedFD(fd, ready)
	for _, m := range inOrder {
		if m.active && m.watcher.FD() == fd && m.interest&ready != 0 {
			m.feed(ready)
		}
	}
}

func (m *modelWatcher) feed(ready reactor.Ready) {
	if m.pending == notPending {
		m.pending = pendingFed
		m.w.fed = append(m.w.fed, m)
	}
	m.ready |= ready
}

func (m *modelWatcher) collectFed() {
	m.pending = pendingNow
	m.order = m.w.collected
	m.w.collected++
}

// collectWatchers asks poll(2) what the loop's poller will say.
func (w *world) collectWatchers() {
	asked := map[int]reactor.Ready{}
	for _, m := range w.watchers {
		if m.active {
			asked[m.watcher.FD()] |= m.interest
		}
	}
	for _, m := range w.watchers {
		fd := m.watcher.FD()
		if ready := pollReady(w, fd, asked[fd]); m.active && m.interest&ready != 0 {
			if m.pending == notPending {
				m.order = math.MaxInt // the kernel's order is not foreseen
				w.collected++
			}
			m.pending = pendingNow
			m.ready |= ready
		}
	}
}

// pollReady is what the kernel reports to one that asks for some conditions.
func pollReady(w *world, fd int, asked reactor.Ready) (ready reactor.Ready) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	for {
		_, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		must(w.t, err)
		break
	}
	got := fds[0].Revents
	if got&(unix.POLLERR|unix.POLLHUP) != 0 {
		return reactor.Read | reactor.Write | reactor.HangUp
	}
	if got&unix.POLLIN != 0 {
		ready |= reactor.Read
	}
	if got&unix.POLLOUT != 0 {
		ready |= reactor.Write
	}
	return ready & asked
}

// called is the watcher's callback.
func (m *modelWatcher) called(ready reactor.Ready) {
	if want := m.ready & m.interest; m.pending != pendingNow || !m.active || ready != want || want == 0 {
		m.w.t.Errorf("a watcher of fd %d was called with %q, want %q, pending %d, active %v",
			m.watcher.FD(), reactor.ReadyString(ready), reactor.ReadyString(want), m.pending, m.active)
	}
	m.w.called(levelOf(m.priority), m.order)
	m.pending, m.ready = notPending, 0
	m.w.inside()
}

// settle is about a watcher that is not pending any more, nor was called: it must
// have lost its interest in what it was pending for.
func (m *modelWatcher) settle() {
	if m.pending != pendingNow || m.watcher.Pending() {
		return
	}
	if m.ready&m.interest != 0 {
		m.w.t.Errorf("a watcher of fd %d for %q was not called for %q", m.watcher.FD(), reactor.ReadyString(m.interest), reactor.ReadyString(m.ready))
	}
	m.pending, m.ready = notPending, 0
}

// checkWatchers is made after an iteration.
func (w *world) checkWatchers() {
	for _, m := range w.watchers {
		m.settle()
		if a, p := m.watcher.Active(), m.watcher.Pending(); a != m.active || p != (m.pending != notPending) {
			w.t.Errorf("a watcher is active %v and pending %v, want %v and %d", a, p, m.active, m.pending)
		}
	}
}

// modelHook is what a hook has to do.
type modelHook struct {
	w        *world
	hook     *reactor.Hook
	kind     int
	active   bool
	priority int
	calls    int  // in this iteration
	due      bool // has to be called in this iteration
}

const (
	prepareHook = iota
	checkHook
	idleHook
	hookKinds
)

func (w *world) newHook() {
	if len(w.hooks) >= 9 {
		return
	}
	m := &modelHook{w: w, kind: w.rnd.IntN(hookKinds), active: true}
	add := []func(func()) *reactor.Hook{w.loop.OnPrepare, w.loop.OnCheck, w.loop.OnIdle}[m.kind]
	m.hook = add(m.call)
	w.touched = true
	w.hooks = append(w.hooks, m)
}

func (w *world) changeHook() {
	m := one(w, w.hooks)
	if m == nil {
		return
	}
	w.touched = true
	switch w.rnd.IntN(4) {
	case 0:
		m.hook.Stop()
		m.active, m.due = false, false
	case 1, 2:
		m.hook.Start()
		m.active = true
	default:
		// Only the model's own hook has the lowest: it must be the last.
		p := max(w.priority(), reactor.MinPriority+1)
		if err := m.hook.SetPriority(p); err == nil {
			m.priority = p
		} else if !m.hook.Pending() {
			w.t.Error(err)
		}
	}
}

// call is the hook's callback.
func (m *modelHook) call() {
	if m.calls++; m.calls > 1 || !m.active {
		m.w.t.Errorf("a hook of kind %d was called %d times in one iteration, active %v", m.kind, m.calls, m.active)
	}
	if level := levelOf(m.priority); m.kind == idleHook && level >= m.w.happened {
		m.w.t.Errorf("an idle hook of level %d was called though something of level %d had happened", level, m.w.happened)
	}
	m.due = false
	m.w.inside()
}

// checkHooks is made after an iteration. If nothing happened in it, the idle hooks
// of the highest priority were called.
func (w *world) checkHooks(quiet bool) {
	best := maxLevel
	for _, m := range w.hooks {
		if m.due {
			w.t.Errorf("an active hook of kind %d was not called", m.kind)
		}
		if m.kind == idleHook && m.active {
			best = min(best, levelOf(m.priority))
		}
	}
	if !quiet || w.touched {
		return
	}
	for _, m := range w.hooks {
		if m.kind == idleHook && m.active && (m.calls == 1) != (levelOf(m.priority) == best) {
			w.t.Errorf("an idle hook of level %d was called %d times, the best is %d", levelOf(m.priority), m.calls, best)
		}
	}
}
