package reactor

import (
	"runtime"
	"time"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/yield"
)

// forever is the timeout of a wait that only an event ends.
const forever time.Duration = -1

// With one thing to do at a time the poller has nothing before it blocks, time and again. After vainWaits such waits it is
// asked first in one of askAnyway only, which is also how many iterations posts may keep it waiting.
const (
	vainWaits = 2
	askAnyway = 16
)

// wait asks the poller without blocking, unless that has been in vain lately and no more than one goroutine is to run; then, if
// callbacks have made goroutines runnable, lets these run and looks again, because what they do is usually a
// Post; and only then blocks, announcing that first so that Post wakes it. How long
// it may is asked when it is to block: the answer costs a reading of the clock.
func (l *Loop) wait(limit time.Duration) ([]poller.Event, error) {
	asks := l.vain < vainWaits || l.vain%askAnyway == 0 || l.woken > 1
	if asks {
		events, err := l.ask(0)
		if len(events) > 0 || err != nil {
			l.vain = 0
			return events, err
		}
	}
	l.vain++
	timeout := l.timeout(limit)
	switch {
	case timeout == 0 && asks:
		return nil, nil
	case timeout == 0:
		return l.ask(0)
	}
	l.endTurn()
	if l.giveWay() {
		if l.posts.any() {
			return nil, nil
		}
		if events, err := l.ask(0); len(events) > 0 || err != nil {
			return events, err
		}
		if timeout = l.timeout(limit); timeout == 0 { // they have run for long
			return nil, nil
		}
	}
	if l.config.BusyPoll > 0 {
		start := l.clock()
		if events, err := l.busyPoll(timeout); l.posts.any() || len(events) > 0 || err != nil {
			return events, err
		}
		if timeout > 0 {
			if timeout -= time.Duration(l.clock() - start); timeout <= 0 {
				return nil, nil
			}
		}
	}
	return l.block(timeout)
}

// runWoken lets a goroutine run that a callback has woken, if that is all there is to do: it is probably about to make its
// next call, whose post then runs in this iteration, and needs no other. If several were woken, or there may be
// other events, the poller comes first: see wait.
func (l *Loop) runWoken() {
	if l.woken != 1 || l.mustNotBlock() {
		return
	}
	l.endTurn()
	l.giveWay()
	l.beginTurn()
}

// giveWay lets goroutines run that callbacks have woken and, on one CPU or if the loop keeps its processor, others every now and
// then, whoever they are: a timer of package time starts them. It reports whether they may have run.
func (l *Loop) giveWay() bool {
	switch {
	case l.woken > 0:
		l.woken = 0
		yield.ToOthers(l.posts.any)
	case l.now-l.yielded >= int64(yield.Slice) && (l.slices || l.keeps()):
		runtime.Gosched()
	default:
		return false
	}
	l.yielded = l.now
	return true
}

// block waits for an event, a Post or the timeout, lending the processor unless nobody could use it.
func (l *Loop) block(timeout time.Duration) ([]poller.Event, error) {
	l.posts.wanted.Store(true)
	defer l.posts.wanted.Store(false)
	if l.posts.any() {
		timeout = 0
	}
	l.stats.Blocked++
	if l.parking != nil {
		return l.parking.wait(timeout)
	}
	if timeout != 0 {
		if atMost := l.keepsFor(); atMost > 0 {
			return l.askKeeping(timeout, atMost)
		}
	}
	return l.ask(timeout)
}

// busyPoll polls for Config.BusyPoll, or for timeout if that is shorter, by the
// machine's clock: it is about a real processor.
func (l *Loop) busyPoll(timeout time.Duration) ([]poller.Event, error) {
	limit := l.config.BusyPoll
	if timeout > 0 {
		limit = min(limit, timeout)
	}
	for start := time.Now(); time.Since(start) < limit; {
		if events, err := l.ask(0); l.posts.any() || len(events) > 0 || err != nil {
			return events, err
		}
	}
	return nil, nil
}

func (l *Loop) ask(timeout time.Duration) ([]poller.Event, error) {
	l.stats.Waits++
	events, err := l.poller.Wait(timeout)
	return events, opError("wait", -1, err)
}
