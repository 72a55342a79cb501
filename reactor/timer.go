package reactor

import (
	"math"
	"time"
)

// A Timer calls back after a delay, once or periodically. It never fires early:
// the delay counts from the real time of the start, not from the loop's Now, and
// the wait is rounded up. Starting, stopping and resetting cost O(log n) and do
// not allocate. All methods belong to the loop's goroutine.
type Timer struct {
	watcher
	fn     func()
	delay  int64 // of the next start, in ns
	period int64 // 0: one-shot
	index  int32 // in the heap; negative: outside or inBurst
	seq    uint32
}

// AfterFunc calls fn once, d from now. A d of zero or less means in the next
// iteration at the earliest, after timers that were already due. On a closed loop it
// returns a stopped timer that never fires.
func (l *Loop) AfterFunc(d time.Duration, fn func()) *Timer { return l.Every(d, 0, fn) }

// Every calls fn after first and then every period until the timer is stopped.
// The phase is kept: if the loop was late by several periods, fn is called once
// and the next call is due at the next multiple of period after the first. A
// period of zero or less makes a one-shot timer.
//
// On a closed loop it returns a stopped timer that never fires.
func (l *Loop) Every(first, period time.Duration, fn func()) *Timer {
	t := &Timer{watcher: newWatcher(l), fn: fn, delay: int64(first), period: max(int64(period), 0), index: outside}
	t.Start()
	return t
}

// InitTimer makes t, which is part of a struct of the caller's, a stopped timer of
// this loop that calls fn: Reset starts it. Unlike AfterFunc it allocates nothing. An
// active timer is stopped first; a zero Timer can do nothing before InitTimer.
func (l *Loop) InitTimer(t *Timer, fn func()) {
	if t.active {
		t.Stop()
	}
	*t = Timer{watcher: newWatcher(l), fn: fn, index: outside}
}

// Start starts a stopped timer with its delay again. It does nothing to an
// active one, nor on a closed loop.
func (t *Timer) Start() {
	if t.active || t.loop.closing {
		return
	}
	t.setActive(true)
	t.loop.timers.add(t, t.deadline())
}

// Reset makes the timer fire d from now, whether it was active or not, and
// makes d its delay for later calls of Start.
func (t *Timer) Reset(d time.Duration) {
	t.delay = int64(d)
	if !t.active {
		t.Start()
		return
	}
	t.loop.unpend(&t.watcher)
	t.loop.timers.place(t, t.deadline())
}

// Again makes a repeating timer fire one period from now, whether it was active
// or not: for a timeout that activity puts off. A timer without a period is
// stopped.
func (t *Timer) Again() {
	if t.period == 0 {
		t.Stop()
		return
	}
	delay := t.delay
	t.Reset(time.Duration(t.period))
	t.delay = delay
}

// SetPeriod makes the timer repeat with the period from its next firing on, and
// Again use it; zero or less makes it one-shot.
func (t *Timer) SetPeriod(period time.Duration) { t.period = max(int64(period), 0) }

// Stop stops the timer: its function is not called until it is started again.
func (t *Timer) Stop() {
	if !t.active {
		return
	}
	t.loop.unpend(&t.watcher)
	t.setActive(false)
	t.loop.timers.remove(t)
}

// Remaining is the time until the timer fires; zero if it is stopped or due.
func (t *Timer) Remaining() time.Duration {
	if t.index < 0 || t.pending != 0 { // a repeating one that is pending is in the heap for its next time
		return 0
	}
	return time.Duration(max(t.loop.timers.entries[t.index].when-t.loop.clock(), 0))
}

// Feed has the timer called in the next iteration as if it were due; a one-shot
// timer is done with that, a repeating one keeps its phase. It returns
// ErrNotActive if the timer is stopped.
func (t *Timer) Feed() error {
	if t.active && t.period == 0 {
		t.loop.timers.remove(t)
	}
	return t.loop.feed(&t.watcher, t, 0)
}

func (t *Timer) invoke(Ready) {
	if t.index == outside {
		t.setActive(false) // one-shot: was taken out of the heap when it became pending
	}
	t.fn()
}

func (t *Timer) describe() (string, int) { return "timer", -1 }

// deadline adds the delay to the present; a sum beyond the clock's range is the
// end of the range, 292 years from the loop's creation.
func (t *Timer) deadline() int64 {
	now := t.loop.clock()
	if when := now + max(t.delay, 0); when >= now {
		return when
	}
	return math.MaxInt64
}

// following is the first deadline after now that is a multiple of the period from when.
func (t *Timer) following(when, now int64) int64 {
	when += (now - when) / t.period * t.period // at most now
	if next := when + t.period; next > when {
		return next
	}
	return math.MaxInt64
}

// timersPerIteration bounds how long due timers can keep descriptors waiting. What
// exceeds it fires in the next iteration, which does not block.
const timersPerIteration = 4096

// collectTimers makes pending what is due. A timer started by a callback waits
// for the next iteration, so re-arming with a zero delay cannot keep
// descriptors waiting.
func (l *Loop) collectTimers() {
	h := &l.timers
	for n := 0; n < timersPerIteration && !h.empty() && h.first() <= l.now; n++ {
		if h.bursts(l.now, n) {
			h.takeDue(l.now)
		}
		e := h.pop()
		t := e.t
		if t.period > 0 {
			h.add(t, t.following(e.when, l.now))
		}
		l.stats.Timers++
		l.pend(&t.watcher, t, 0)
	}
}
