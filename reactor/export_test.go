package reactor

import (
	"os"
	"time"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/yield"
)

// OneCPU says that this process has one CPU only.
var OneCPU = yield.OneCPU

// DefaultCork is how much a stream holds back of small pieces, in bytes, with one CPU or with more.
func DefaultCork(oneCPU bool) int { return defaultCork(oneCPU) }

// Chunks is how many pooled buffers the stream holds.
func (s *Stream) Chunks() int { return len(s.queue.chunks) }

// ReadBufferSize is the most that one read of a stream brings.
const ReadBufferSize = readBufferSize

// SetBusyPoll is Config.BusyPoll, also with one CPU.
func (l *Loop) SetBusyPoll(d time.Duration) { l.config.BusyPoll = d }

// SetKeeps replaces yield.Keep.
func (l *Loop) SetKeeps(better func(round time.Duration, own int) bool) { l.keeping.better = better }

// BusyPoll is Config.BusyPoll, as it is taken.
func (l *Loop) BusyPoll() time.Duration { return l.config.BusyPoll }

// A Heap is the heap of timers, without a loop.
type Heap struct{ h timerHeap }

// Add adds a timer that carries a number.
func (h *Heap) Add(when int64, number int) *Timer {
	t := &Timer{delay: int64(number), watcher: watcher{active: true}}
	h.h.add(t, when)
	return t
}

// Move gives a timer a new deadline.
func (h *Heap) Move(t *Timer, when int64) { h.h.place(t, when) }

// Remove takes a timer out.
func (h *Heap) Remove(t *Timer) { h.h.remove(t) }

// Pop takes out the first timer and returns its number.
func (h *Heap) Pop() (number int) { return int(h.h.pop().t.delay) }

// Len is how many timers there are.
func (h *Heap) Len() int { return h.h.len() }

// TakeDue makes what is due by now a burst, unless there is one still.
func (h *Heap) TakeDue(now int64) {
	if h.h.burst.live == 0 && !h.h.empty() && h.h.first() <= now {
		h.h.takeDue(now)
	}
}

// InBurst is how many timers of the burst are left.
func (h *Heap) InBurst() int { return h.h.burst.live }

// InBurst is how many timers are due and not yet pending.
func (l *Loop) InBurst() int { return l.timers.burst.live }

// What bounds the timers of one iteration, and those that are no burst.
const (
	TimersPerIteration = timersPerIteration
	BurstAfter         = burstAfter
)

// Verify checks the heap's order and the timers' places in it.
func (h *Heap) Verify() error {
	var refs int
	return (&Loop{timers: h.h}).verifyTimers(&refs)
}

// Look is what the interval and hints have the watcher do.
func (p *PathWatcher) Look() { p.look() }

// WallJumped is the notice that the wall clock has jumped.
func (l *Loop) WallJumped() { l.wallJumped() }

// TimerMoves is how often a timer of the loop has been given a place in the heap.
func (s *Stream) TimerMoves() uint64 { return uint64(s.loop.timers.seq) }

// Age lets time pass for the timeouts of the stream, and has its timer look.
func (s *Stream) Age(d time.Duration) {
	t := &s.extra.times
	for _, since := range []*int64{&t.idleSince, &t.readSince, &t.writeSince} {
		*since -= int64(d)
	}
	if t.timer.Active() {
		t.timer.Reset(0)
		t.armed = 0
	}
}

// ExitSources are the ways to hear of exits.
var ExitSources = map[string]func(*Loop) exitSource{
	"poller":  pollerExits,
	"pidfd":   pidfdExits,
	"SIGCHLD": sigchldExits,
}

// UseExits has a new loop use one of ExitSources, and reports whether it can.
func (l *Loop) UseExits(name string) bool {
	l.exits = ExitSources[name](l)
	return l.exits != nil
}

// AskAgain is how long an exit goes unnoticed whose signal is lost.
const AskAgain = askAgain

// LoseSIGCHLD has the signals of exits be lost, from the next iteration on.
func (l *Loop) LoseSIGCHLD() {
	s := l.exits.(*sigchldSource)
	s.close() // what it was told before has been posted then
	s.signals, s.ended = make(chan os.Signal), make(chan struct{})
	go s.run()
}

// LookAt reports whether what stat says of a path is so fresh that another change
// could have the same time.
func LookAt(path string, stat func(path string) PathInfo) (fresh bool) {
	_, fresh = lookAt(path, stat)
	return fresh
}

// CoarseTick is for how long different changes may have the same time.
const CoarseTick = coarseTick

// ClosePathHints makes the loop find changes of paths at their intervals only.
func (l *Loop) ClosePathHints() {
	for _, p := range l.paths.active {
		l.paths.hints.drop(p)
	}
	l.paths.hints.close()
}

// Yielded is when goroutines last had a chance to run, since the loop was made.
func (l *Loop) Yielded() time.Duration { return time.Duration(l.yielded) }

// YieldInSlices has the loop yield as on one CPU.
func (l *Loop) YieldInSlices() { l.slices = true }

// EdgeTriggered reports whether the poller need report only what comes to a descriptor.
func (l *Loop) EdgeTriggered(fd int) bool { return l.slots[fd].kernel&poller.Edge != 0 }

// Woken is how many goroutines have been woken that have not had a chance to run.
func (l *Loop) Woken() uint { return l.woken }

// Writevs are the writev of this system, and the one for systems without any, which returns what that does.
func Writevs() map[string]func(fd int, bufs [][]byte) (int, error) {
	return map[string]func(int, [][]byte) (int, error){"writev": sysWritev, "one by one": writeEach}
}
