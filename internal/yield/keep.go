package yield

import (
	"runtime"
	"time"
)

// From which round on a wait keeps its processor: with one CPU what the monitor can see at two looks, between which it sleeps
// 20 µs at its busiest. With more, short waits are left to it, for what OneCPU says.
const (
	shortestOneCPU = 20 * time.Microsecond
	shortest       = 100 * time.Microsecond
)

// Keep reports whether a goroutine that is about to block had better keep its processor, for a Slice at most. round is how long ago it was
// about to block the last time, and presumably will be the next; own is how many goroutines there are, itself included, that wait for
// nobody but it.
//
// With GOMAXPROCS=1 the monitor takes the processor from a system call that it has seen at two looks (retake). Then all is
// idle, and it sleeps, until the call returns, finds its processor taken, and wakes it; and since it has found something to take it goes on
// to look every 20 µs. By this each wait of more than some 70 µs costs another 15 to 30 µs of the CPU ("Waits that keep the processor" in
// docs/performance.md). If there is no goroutine but own nobody has the use of what it takes. Only timers of package time may
// become due meanwhile, and are late by a Slice: from a call whose processor can be taken they are by 10 ms, until the monitor looks. For that
// whoever keeps it has to yield between two waits, once in a Slice: the monitor does not have it do so before it has seen it for 10 ms, and then 20 may be over.
func Keep(round time.Duration, own int) bool {
	long := round >= shortest || OneCPU && round >= shortestOneCPU
	return long && round < Slice && runtime.NumGoroutine() == own && runtime.GOMAXPROCS(0) == 1
}
