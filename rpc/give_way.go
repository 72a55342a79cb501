package rpc

import (
	"time"

	"github.com/evfork/evfork/internal/yield"
)

// One read may bring the replies to many hundreds of goroutines. If all were gathered before any goroutine
// runs, what the loop has written for the first ones would not be in the cache any more when they run, nor what
// they write when the loop takes their next calls. So the loop gives way after so many replies, and
// then takes the calls that these goroutines make. With several processors it also has something for the others to do.

const (
	// crowd is how many goroutines are woken before the loop gives way to them.
	crowd = 128
	// smallCrowd is crowd for goroutines that decode replies: they work at the same time as the loop, and begin sooner.
	smallCrowd = 24
	// manyCalls is how many calls must be in flight for the loop to give way to goroutines whose calls are not typed. With fewer
	// the child would run out of calls meanwhile.
	manyCalls = 512
	// longTurn is how long a turn may be if nobody computes in it: who does keeps the processor for 10 ms
	// (forcePreemptNS in runtime/proc.go of Go 1.26).
	longTurn = 9 * time.Millisecond
)

// turns decides when the loop gives way to those that it has woken.
type turns struct {
	woken int       // since the last turn
	rest  time.Time // until when there is none
}

// due reports whether the loop should give way to a crowd of that many now, having woken one more.
func (t *turns) due(crowd int, now func() time.Time) (began time.Time, due bool) {
	if t.woken++; t.woken < crowd {
		return began, false
	}
	t.woken = 0
	began = now()
	return began, !began.Before(t.rest)
}

// ended is told how long the turn took. After a long one the loop keeps the processor for as long, so
// that goroutines that compute get no more of it than they would otherwise.
func (t *turns) ended(began time.Time, took time.Duration) {
	if took > longTurn {
		t.rest = began.Add(2 * took)
	}
}

// giveWay lets goroutines run if a crowd has been woken, and takes the calls they make.
func (q *callQueue) giveWay(crowd int) {
	began, due := q.turns.due(crowd, time.Now)
	if !due {
		return
	}
	q.handOut()
	q.wakeRow()
	yield.ToOthers(q.hasSubmitted)
	q.turns.ended(began, time.Since(began))
	q.takeSubmitted()
}

func (q *callQueue) hasSubmitted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.submitted.empty()
}
