package reactor

import "time"

// A Clock tells a loop the time. The default is the machine's; tests inject one
// that they move themselves, together with a Poller that does not sleep
// (package reactor/reactortest has both).
type Clock interface {
	// Monotonic is the time since a fixed point of the past. It never goes back.
	Monotonic() time.Duration
	// Wall is the time of day. It may jump, in both directions.
	Wall() time.Time
}

// timebase is where a loop has its time from.
type timebase struct {
	source Clock         // nil: the machine's
	origin time.Duration // source's reading when the loop was made
	base   time.Time     // Now is base+told+asleep: one monotonic reading per iteration
	now    int64         // nanoseconds since base, less those asleep, when the iteration's wait ended
	told   int64         // by Now: now, unless UpdateNow was called since
	asleep int64         // nanoseconds spent between Suspend and Resume
	since  int64         // clock when Suspend was called; negative: it was not
}

func newTimebase(source Clock) timebase {
	if source == nil {
		return timebase{base: time.Now(), since: -1}
	}
	// A Wall of time.Now has a monotonic reading, which is none of the source's.
	return timebase{source: source, base: source.Wall().Round(0), origin: source.Monotonic(), since: -1}
}

// clock is the loop's time: nanoseconds since base, less those asleep. It stands still
// from Suspend to Resume.
func (t *timebase) clock() int64 {
	if t.since >= 0 {
		return t.since
	}
	return t.reading() - t.asleep
}

// reading reads the monotonic clock: nanoseconds since base.
func (t *timebase) reading() int64 {
	if t.source == nil {
		return int64(time.Since(t.base))
	}
	return int64(t.source.Monotonic() - t.origin)
}

// wall reads the time of day.
func (t *timebase) wall() time.Time {
	if t.source == nil {
		return time.Now()
	}
	return t.source.Wall()
}

// at is the time that a reading of clock stands for. The sum may be more than a Duration holds.
func (t *timebase) at(clock int64) time.Time {
	return t.base.Add(time.Duration(clock)).Add(time.Duration(t.asleep))
}

// Now is the time of the current iteration, read once when its wait ended.
// It includes a monotonic reading, unless it comes from Config.Clock. Callbacks
// that compute for long may see it lag behind time.Now, until one calls UpdateNow.
func (l *Loop) Now() time.Time { return l.at(l.told) }

// UpdateNow reads the clock, Config.Clock if there is one, and returns what is Now from then on, until the wait
// of the next iteration has ended. Nothing else changes: what has become due is called in the next iteration,
// as it would be without, and Stats.Lag is the same. It may be called at any time, also outside of Run and after Close.
// Between Suspend and Resume it is the time of Suspend.
func (l *Loop) UpdateNow() time.Time {
	l.told = l.clock()
	return l.Now()
}

// Suspend stops the loop's time until Resume: relative timers do not come
// nearer, as if nothing had happened in between. It is for a program that is
// about to be stopped, by SIGSTOP for example, and does not want all its
// timeouts to be over when it goes on. Do not run the loop in between; Close and
// Shutdown resume it.
func (l *Loop) Suspend() {
	if l.since < 0 {
		l.since = l.clock()
	}
}

// Resume undoes Suspend.
func (l *Loop) Resume() {
	if l.since >= 0 {
		l.asleep = l.reading() - l.since
		l.since = -1
		l.wallJumped() // the wall clock has gone on
		l.rearmHosted()
	}
}
