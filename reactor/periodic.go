package reactor

import (
	"time"

	"github.com/evfork/evfork/internal/callback"
)

// A Periodic calls back at a point of the wall clock, once or by a schedule. It
// never fires before the wall clock shows that point, and follows the clock when
// that is set: At, Periodic and EveryWall say what each does then. Starting, stopping and firing cost O(log n). All methods
// belong to the loop's goroutine.
type Periodic struct {
	*watcher // the timer's, which does the waiting
	timer    Timer
	fn       func()
	next     func(now time.Time) time.Time // nil: once
	due      time.Time                     // without a monotonic reading: only the wall clock counts
	place    int                           // among the loop's active ones; -1 while stopped
	fed      bool
}

// At calls fn once, when the wall clock shows at or later. If it does already,
// fn is called in the next iteration. If the clock is set over that point, fn is
// called at once; if it is set back, fn waits for the point to come.
//
// On a closed loop it returns a stopped watcher that never fires.
func (l *Loop) At(at time.Time, fn func()) *Periodic { return l.newPeriodic(at, nil, fn) }

// Periodic calls fn at the times that next names. next gets the present, without
// a monotonic reading, and returns the first time after it at which fn is to be
// called; "every day at six" is a next that asks time.Date. It is asked when the
// watcher starts, before each call of fn, and whenever the clock has been set or
// may have been, so it only computes: it must neither start nor stop watchers.
// A next that returns a time not after the present ends the schedule: the
// watcher is stopped. So does one that panics; fn is called all the same if its time
// has come, and the panic is then like one of fn.
//
// If the loop was late or the clock was set forward over several of these times,
// fn is called once. If the clock was set back, times come again.
//
// On a closed loop it returns a stopped watcher that never fires.
func (l *Loop) Periodic(next func(now time.Time) time.Time, fn func()) *Periodic {
	return l.newPeriodic(time.Time{}, next, fn)
}

// EveryWall calls fn whenever the wall clock shows offset plus a multiple of
// interval since 1970-01-01 00:00 UTC: with offset 0 and an interval of an hour
// at every full hour. It is Periodic with that schedule; for days of local
// time, whose lengths differ, use Periodic. It returns ErrInvalid unless
// interval is positive, and ErrClosed on a closed loop.
func (l *Loop) EveryWall(offset, interval time.Duration, fn func()) (*Periodic, error) {
	switch {
	case interval <= 0:
		return nil, ErrInvalid
	case l.closing:
		return nil, ErrClosed
	}
	origin := time.Unix(0, 0).Add(offset % interval) // or a Duration might not reach from it to now
	return l.Periodic(func(now time.Time) time.Time {
		since := now.Sub(origin) % interval
		if since < 0 {
			since += interval
		}
		return now.Add(interval - since)
	}, fn), nil
}

func (l *Loop) newPeriodic(at time.Time, next func(time.Time) time.Time, fn func()) *Periodic {
	p := &Periodic{fn: fn, next: next, due: at.Round(0), place: -1}
	p.timer = Timer{watcher: newWatcher(l), fn: p.expired, index: -1}
	p.watcher = &p.timer.watcher
	p.Start()
	return p
}

// Start starts a stopped watcher: one made by At with its time again, others with
// the next time of their schedule. It does nothing to an active one, nor on a
// closed loop.
func (p *Periodic) Start() {
	if p.place >= 0 || p.loop.closing {
		return
	}
	p.loop.walls.add(p)
	if now := p.loop.wallTime(); p.schedule(now) {
		p.arm(now)
	}
}

// Stop stops the watcher: its function is not called until it is started again.
func (p *Periodic) Stop() {
	p.fed = false
	p.timer.Stop()
	p.loop.walls.remove(p)
}

// Next is the point of the wall clock at which the watcher fires, as far as is
// known now; the zero time if it is stopped.
func (p *Periodic) Next() time.Time {
	if !p.active {
		return time.Time{}
	}
	return p.due
}

// Remaining is the time until Next, by the wall clock; zero if the watcher is
// stopped or due.
func (p *Periodic) Remaining() time.Duration {
	if !p.active {
		return 0
	}
	return max(p.due.Sub(p.loop.wallTime()), 0)
}

// Feed has the watcher called in the next iteration as if its time had come: one
// made by At is done with that, others keep their schedule. It returns
// ErrNotActive if the watcher is stopped.
func (p *Periodic) Feed() error {
	p.fed = p.active
	return p.timer.Feed()
}

// schedule finds the next time to fire. If there is none, the watcher is stopped
// and schedule returns false; it is stopped, too, if next panics.
func (p *Periodic) schedule(now time.Time) (ok bool) {
	if p.next == nil {
		return true
	}
	defer func() {
		if !ok {
			p.Stop()
		}
	}()
	p.due = p.next(now).Round(0)
	return p.due.After(now) && p.place >= 0 // which next should have left alone
}

// arm has the timer look at the wall clock again when it should have come.
func (p *Periodic) arm(now time.Time) { p.timer.Reset(p.due.Sub(now)) }

// expired is called when the timer has run off, which says how much time has
// passed, and not what the wall clock shows.
func (p *Periodic) expired() {
	l := p.loop
	now := l.wallTime()
	fire := p.fed || !now.Before(p.due)
	p.fed = false
	if !fire {
		p.arm(now)
		l.calledInVain(p.watcher)
		l.findJump()
		return
	}
	// The time of fn has come, whichever schedule panics, this one or, over a jump, another's.
	callback.InTurn(func() { p.goOn(now) }, l.findJump, p.fn)
}

// goOn waits for the next time to fire, if there is one.
func (p *Periodic) goOn(now time.Time) {
	switch {
	case p.next == nil:
		p.Stop()
	case p.schedule(now):
		p.arm(now)
	}
}

// reschedule follows a clock that was set. What is overdue by it stays so, and
// fires; what is not may have an earlier time in its schedule now.
func (p *Periodic) reschedule(now time.Time) {
	if p.fed {
		return // is pending, and looks at the clock when it is called
	}
	if now.Before(p.due) && !p.schedule(now) {
		return
	}
	if !p.Pending() { // else it looks at the clock when it is called
		p.arm(now)
	}
}
