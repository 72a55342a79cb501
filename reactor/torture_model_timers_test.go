package reactor_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/evfork/evfork/reactor"
)

// pendingState is whether, and since when, a callback is to come.
type pendingState uint8

const (
	notPending pendingState = iota
	pendingFed              // will be called in the next iteration
	pendingNow              // in this one
)

// modelTimer is what a timer has to do, by the documentation.
type modelTimer struct {
	w        *world
	timer    *reactor.Timer
	delay    time.Duration
	period   time.Duration
	due      time.Duration
	seq      int // equal deadlines fire in start order
	waiting  bool
	active   bool
	pending  pendingState
	order    int
	priority int
}

func (w *world) newTimer() {
	if len(w.timers) < 40 {
		w.addTimer()
	}
}

func (w *world) addTimer() {
	m := &modelTimer{w: w, delay: w.delay()}
	if w.rnd.IntN(2) == 0 {
		m.period = tick + w.span(300_000)
	}
	m.timer = w.loop.Every(m.delay, m.period, m.fired)
	m.start()
	w.timers = append(w.timers, m)
}

func (w *world) delay() time.Duration { return w.span(500_000) - 5*tick }

// tick makes many deadlines fall together.
const tick = 10 * time.Microsecond

// span is a duration below a number of nanoseconds: often a multiple of ticks.
func (w *world) span(below int) time.Duration {
	d := time.Duration(w.rnd.IntN(below))
	if w.rnd.IntN(4) > 0 {
		d = d.Truncate(tick)
	}
	return d
}

func (m *modelTimer) start() {
	m.w.unfeed(m)
	m.active, m.waiting, m.pending = true, true, notPending
	m.due = m.w.clock.now + max(m.delay, 0)
	m.seq = m.w.seq
	m.w.seq++
}

func (m *modelTimer) stop() {
	m.w.unfeed(m)
	m.active, m.waiting, m.pending = false, false, notPending
}

func (w *world) changeTimer() {
	m := one(w, w.timers)
	if m == nil {
		return
	}
	switch w.rnd.IntN(10) {
	case 0:
		m.timer.Stop()
		m.stop()
	case 1, 2:
		m.timer.Start()
		if !m.active {
			m.start()
		}
	case 3, 4:
		m.delay = w.delay()
		m.timer.Reset(m.delay)
		m.start()
	case 5:
		m.again()
	case 6:
		m.feed()
	case 7:
		m.period = time.Duration(w.rnd.IntN(2)) * w.span(300_000)
		m.timer.SetPeriod(m.period)
	case 8:
		w.setPriority(m.timer, &m.priority, m.pending != notPending)
	default:
		m.timer.Unref()
		if w.rnd.IntN(2) == 0 {
			m.timer.Ref()
		}
	}
	later := m.waiting && m.pending == notPending
	if left := m.timer.Remaining(); later && left != max(m.due-w.clock.now, 0) || !later && left != 0 {
		w.t.Errorf("%v remain at %v of a timer due at %v, waiting %v", left, w.clock.now, m.due, m.waiting)
	}
}

func (m *modelTimer) again() {
	m.timer.Again()
	if m.period == 0 {
		m.stop()
		return
	}
	delay := m.delay
	m.delay = m.period
	m.start()
	m.delay = delay
}

func (m *modelTimer) feed() {
	err := m.timer.Feed()
	if !m.active {
		wantErr(m.w.t, err, reactor.ErrNotActive)
		return
	}
	must(m.w.t, err)
	if m.period == 0 {
		m.waiting = false
	}
	if m.pending == notPending {
		m.pending = pendingFed
		m.w.fed = append(m.w.fed, m)
	}
}

func (m *modelTimer) collectFed() {
	m.pending = pendingNow
	m.order = m.w.collected
	m.w.collected++
}

// setPriority sets a random priority, which is refused while the watcher is pending.
func (w *world) setPriority(watcher interface{ SetPriority(int) error }, priority *int, pending bool) {
	p := w.priority()
	err := watcher.SetPriority(p)
	if pending {
		wantErr(w.t, err, reactor.ErrPending)
		return
	}
	must(w.t, err)
	*priority = p
}

// collectTimers makes due timers pending, in the order of their deadlines.
func (w *world) collectTimers() {
	var due []*modelTimer
	for _, m := range w.timers {
		if m.waiting && m.due <= w.clock.now {
			due = append(due, m)
		}
	}
	slices.SortFunc(due, func(a, b *modelTimer) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq)) })
	for _, m := range due[:min(len(due), reactor.TimersPerIteration)] {
		if m.period > 0 {
			for m.due <= w.clock.now { // in the phase it began in, once for all that was missed
				m.due += m.period * max((w.clock.now-m.due)/m.period, 1)
			}
			m.seq = w.seq
			w.seq++
		} else {
			m.waiting = false
		}
		if m.pending == notPending {
			m.order = w.collected
			w.collected++
		}
		m.pending = pendingNow
	}
}

// fired is the timer's callback.
func (m *modelTimer) fired() {
	if m.pending != pendingNow || !m.active {
		m.w.t.Errorf("a timer fired at %v that is due at %v, pending %d, active %v", m.w.clock.now, m.due, m.pending, m.active)
	}
	m.w.called(levelOf(m.priority), m.order)
	m.pending = notPending
	if !m.waiting {
		m.active = false
	}
	m.w.inside()
}

// checkTimers is made after an iteration.
func (w *world) checkTimers() {
	for _, m := range w.timers {
		if m.pending == pendingNow {
			w.t.Errorf("at %v a timer due at %v, period %v, was not called", w.clock.now, m.due, m.period)
		}
		if a, p := m.timer.Active(), m.timer.Pending(); a != m.active || p != (m.pending != notPending) {
			w.t.Errorf("a timer is active %v and pending %v, want %v and %v", a, p, m.active, m.pending)
		}
	}
}
