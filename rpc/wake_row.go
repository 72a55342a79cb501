package rpc

import (
	"runtime"
	"time"
)

// Goroutines whose replies come with one read are woken in rows: the loop wakes the first of a row, and each wakes the next
// before it does anything else. So what is touched to wake a goroutine, its channel and what the runtime knows of
// it, is still in the cache when it runs, and the scheduler has it run next without a queue (runnext in runtime/proc.go of Go
// 1.26). If the loop wakes hundreds, all of these are in between.
//
// A row is for one processor: in the middle of it there is nobody whom others could take. And it has the processor to its end
// (runnext inherits the time slice), which the loop waits for: there is none if that may take long.

const (
	// leastRow is how many goroutines are worth a row.
	leastRow = 16
	// rowsEach is how many rows there are at least for each processor, if there are several.
	rowsEach = 4
	// mostGathered is how many wait until they are woken, at most.
	mostGathered = 1024
)

// wokenList is those who are to be woken when what a read has brought has been acted on.
type wokenList struct {
	open  bool // that is being done
	quick bool // no longTurn is between the read and the one before: goroutines do not compute between their calls
	last  time.Time
	list  waiterList
	count int
}

// beginReplies is called before what has been read is acted on.
func (q *callQueue) beginReplies() {
	now := q.client.loop.Now()
	q.woken.quick = now.Sub(q.woken.last) < longTurn
	q.woken.last = now
	q.woken.open = true
}

// endReplies is called when what has been read has been acted on.
func (q *callQueue) endReplies() {
	q.woken.open = false
	q.handOut()
	q.wakeRows()
}

// wake has the goroutine of a call that has ended woken, at once or when what has been read has been acted on.
func (q *callQueue) wake(w *waiter) {
	q.client.loop.Yielding()
	if !q.woken.open {
		w.ready <- struct{}{}
		return
	}
	q.woken.list.add(w)
	if q.woken.count++; q.woken.count == mostGathered {
		q.wakeRows()
	}
}

// wakeRows wakes those who have been gathered, or the first of each row of them.
func (q *callQueue) wakeRows() {
	list, length := q.woken.list, q.woken.rowLength()
	q.woken.list, q.woken.count = waiterList{}, 0
	for first := list.head; first != nil; {
		rest := cutRow(first, length)
		first.ready <- struct{}{}
		first = rest
	}
}

// rowLength is how many wake one another. 1: the loop wakes each; 0: there is one row.
func (l *wokenList) rowLength() int {
	if !l.quick || l.count < leastRow {
		return 1
	}
	processors := runtime.GOMAXPROCS(0)
	if processors == 1 {
		return 0
	}
	if length := l.count / (rowsEach * processors); length >= leastRow {
		return length
	}
	return 1
}

// cutRow ends the row that begins with first, and returns who begins the next.
func cutRow(first *waiter, length int) (rest *waiter) {
	if length == 0 {
		return nil
	}
	last := first
	for range length - 1 {
		if last.next == nil {
			return nil
		}
		last = last.next
	}
	rest, last.next = last.next, nil
	return rest
}

// wakeNext goes on with the row, on the goroutine of a call that has ended.
func (w *waiter) wakeNext() {
	if next := w.next; next != nil {
		w.next = nil
		next.ready <- struct{}{}
	}
}
