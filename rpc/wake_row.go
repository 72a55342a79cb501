package rpc

import (
	"runtime"
	"time"
)

// With one processor, goroutines whose replies come with one read are woken in a row: the loop wakes the first, and each
// wakes the next before it does anything else. So what is touched to wake a goroutine, its channel and what the
// runtime knows of it, is still in the cache when it runs, and the scheduler has it run next without a queue (runnext in
// runtime/proc.go of Go 1.26). If the loop wakes hundreds, all of these are in between. With several processors each is woken
// at once: others could run it meanwhile, and in the middle of a row there is never anybody whom they could take.

// wokenRow is those who are woken when what a read has brought has been acted on.
type wokenRow struct {
	gathers    bool // that is being done, and they are to be a row
	many       bool // that is being done, and there are manyCalls, several processors, and another CPU for the child
	last       time.Time
	processors int
	counted    time.Time // when processors was
	waiterList
}

// begin says whether those are to be a row whose replies have come now. A row has the processor to its end (runnext
// inherits the time slice), which the loop waits for: there is none if goroutines may compute between
// their calls, as a longTurn between two reads tells.
func (r *wokenRow) begin(now time.Time, processors func() int) {
	if now.Sub(r.counted) >= longTurn { // not for each read: counting takes a lock of the scheduler's, of which all loops have one
		r.processors, r.counted = processors(), now
	}
	r.gathers = r.processors == 1 && now.Sub(r.last) < longTurn
	r.last = now
}

// beginReplies is called before what has been read is acted on.
func (q *callQueue) beginReplies() {
	q.row.begin(q.client.loop.Now(), processors)
	inFlight := q.client.calls.count
	q.late.crowded = inFlight >= q.late.crowd
	q.row.many = inFlight >= manyCalls && q.row.processors > 1 && !q.late.oneCPU
}

func processors() int { return runtime.GOMAXPROCS(0) }

// endReplies is called when what has been read has been acted on.
func (q *callQueue) endReplies() {
	q.handOut()
	if !q.awaitLast() {
		q.wakeRow()
	}
	q.row.gathers, q.row.many = false, false
	q.decide()
}

// wake has the goroutine of a call that has ended woken, at once or in a row.
func (q *callQueue) wake(w *waiter) {
	q.client.loop.Yielding()
	q.late.rested++
	if q.row.gathers {
		q.row.add(w)
		return
	}
	w.ready <- struct{}{}
	if q.row.many && !q.serving { // or the calls of those who fail, and try again, would be served without end
		q.giveWay(crowd)
	}
}

// wakeRow wakes the first of those who have been gathered.
func (q *callQueue) wakeRow() {
	first := q.row.head
	q.row.waiterList = waiterList{}
	if first != nil {
		first.ready <- struct{}{}
	}
}

// wakeNext goes on with the row, on the goroutine of a call that has ended.
func (w *waiter) wakeNext() {
	if next := w.next; next != nil {
		w.next = nil
		next.ready <- struct{}{}
	}
}
