package rpc

import (
	"runtime"
	"time"

	"github.com/evfork/evfork/internal/yield"
)

// With one processor a goroutine that has handed over a call may park late: it yields first. Those that yield run again in
// their order (the global queue of runtime/proc.go in Go 1.26), and most replies come in that order, too. If the
// child is quick, a goroutine finds its reply when its turn comes: it has neither been parked nor woken,
// which takes twice as long as to yield (docs/performance.md).
//
// For that the loop must not wait for its own turn in that queue: behind those who have their replies are those who have none
// yet, and would park. It waits until the last of those who have one brings it back.
//
// If too many yield in vain, because the child is slow or has no CPU of its own, goroutines park at once for a while.

const (
	// lateCrowd is how many calls must be in flight: with fewer the loop would soon block, and before that it lets
	// everybody park.
	lateCrowd = crowd
	// lateTrial is after how many calls it is decided whether goroutines go on to park late.
	lateTrial = 8192
	// lateRest is after how many calls it is tried again, at most: at first it is a lateTrial, and each time that is in
	// vain it is twice as many, because the first calls of a thousand goroutines come all at once, which is the worst beginning.
	lateRest = 16 * lateTrial
	// lateTurn is how long the loop may have to wait for a crowd. If it takes longer, goroutines compute between their calls, or others
	// keep the processor: they run before those that have yielded (findRunnable looks at its own queue first).
	lateTurn = time.Millisecond
)

// lateParking is the loop's part in it; callQueue.parksLate is the goroutines'.
type lateParking struct {
	crowd   int           // lateCrowd
	oneCPU  bool          // yield.OneCPU: the child has none of its own
	crowded bool          // so many calls were in flight before the read
	slow    bool          // a turn has taken longer than lateTurn
	rested  uint          // how many goroutines were woken since parksLate was switched off; it may wrap round
	rest    uint          // how many there must be for the next trial
	told    int           // how many that parked late were told of the end of their call, and
	found   int           // how many of these had not parked, since it was last decided
	last    *waiter       // whose call has ended, and who is told when there is another, or no more; nil: nobody
	back    chan struct{} // by which the last brings the loop back; of capacity 1
}

func (l *lateParking) init() {
	l.crowd, l.oneCPU = lateCrowd, yield.OneCPU
	l.back = make(chan struct{}, 1)
	l.rest = lateTrial
}

// foundLate yields, on the goroutine of a call that parks late, and reports whether there is nothing else to do: the call has
// ended, as most have. It is inlined, so that no frame of it lies on the stack meanwhile.
func (w *waiter) foundLate() bool {
	runtime.Gosched()
	return w.state.Load() == completed && !w.last // a load waits for nothing that was stored before
}

// parkLate has the goroutine wait if the call has not ended when its turn
// comes. It reports whether the call ended before its ctx did, which counts from then on. It is not inlined for the
// reason that wait is not.
//
//go:noinline
func (w *waiter) parkLate(done <-chan struct{}) bool {
	switch {
	case w.state.Load() == completed:
	case w.state.CompareAndSwap(waiting, parked):
		if w.patient {
			<-w.ready
		} else if !w.wait(done) {
			return false
		}
	case !w.patient && w.state.CompareAndSwap(ending, awaited):
		<-w.ready
	}
	if w.last {
		w.client.queue.late.back <- struct{}{}
	}
	return true
}

// endLate has a goroutine told that parks late, and whose call has ended.
func (q *callQueue) endLate(w *waiter) {
	if before := q.late.last; before != nil {
		q.late.last = nil
		q.tell(before)
	}
	if !q.row.gathers {
		q.tell(w)
		return
	}
	q.late.last = w
	if q.serving {
		return // the calls of those who fail, and try again, would be served without end
	}
	if _, due := q.turns.due(crowd, time.Now); due {
		q.awaitLast()
		q.takeSubmitted()
	}
}

// tell tells a goroutine that its call has ended: it finds that in its turn, or it has parked, and is woken.
func (q *callQueue) tell(w *waiter) {
	q.late.told++
	if before := w.state.Swap(completed); before == parked || before == awaited {
		q.wake(w)
		return
	}
	q.late.found++
	q.client.loop.Yielding()
}

// awaitLast tells the last one, and lets those run who have been told. It reports whether there was a last one.
func (q *callQueue) awaitLast() bool {
	w := q.late.last
	if w == nil {
		return false
	}
	q.late.last = nil
	w.last = true
	q.tell(w)
	q.wakeRow()
	began := time.Now()
	<-q.late.back
	took := time.Since(began)
	q.turns.ended(began, took)
	q.late.slow = q.late.slow || took > lateTurn
	return true
}

// decide switches late parking on or off, when what a read has brought has been acted on.
func (q *callQueue) decide() {
	l := &q.late
	possible := l.crowded && q.row.processors == 1 && !l.slow && !l.oneCPU
	l.slow = false
	switch {
	case !q.parksLate:
		if possible && l.rested >= l.rest {
			q.switchLate(true)
		}
	case !possible:
		l.rest = lateTrial
		q.switchLate(false)
	case l.told >= lateTrial:
		if l.found < l.told/4*3 {
			l.rest = min(2*l.rest, lateRest)
			q.switchLate(false)
			return
		}
		l.rest = lateTrial
		l.told, l.found = 0, 0
	}
}

func (q *callQueue) switchLate(on bool) {
	q.mu.Lock()
	q.parksLate = on
	q.mu.Unlock()
	q.late.rested, q.late.told, q.late.found = 0, 0, 0
}
