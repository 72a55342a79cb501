// Package yield lets other goroutines have the processor where that costs least: before a goroutine blocks in a system
// call. Such a call keeps its processor until the runtime's monitor takes it away, 20 µs later at best. Where nobody could use it, it is kept: see Keep.
// What is said here of the runtime is of runtime/proc.go in Go 1.26.
package yield

import (
	"runtime"
	"time"
)

// OneCPU reports whether this process has one CPU only. Whoever has it must not be disturbed by the runtime's monitor:
// see Slice. With more it is the other way round: the monitor's threads keep the kernel from spreading two processes that
// take turns over CPUs that are idle and have to be woken at each turn, which takes several times as long (docs/performance.md).
var OneCPU = runtime.NumCPU() == 1

// Slice is how long a goroutine may go on before it should yield of its own accord, with OneCPU, even if nobody waits.
// After 10 ms without a change of goroutines (forcePreemptNS) the monitor takes the processor, and takes it
// from short system calls, too. With GOMAXPROCS=1 it wakes a thread for it that finds nothing to do, and goes on to
// look every 20 µs, as long as it finds something to take. The difference is for the monitor's own delay.
const Slice = 8 * time.Millisecond

// Reads is after how many blocking reads a goroutine should yield, with OneCPU, if it does not read the clock. That is
// within a Slice from 8,000 reads a second on; with fewer the monitor's part in the cost of one is small.
const Reads = 64

// ToOthers lets those goroutines run that are runnable on this processor. It yields twice, unless the first time made
// done true, because in every 61st of its decisions the scheduler looks first at
// the queue in which a goroutine that yields waits itself (findRunnable): nobody else runs then, and if the goroutine goes on to
// block, they wait for the monitor.
func ToOthers(done func() bool) {
	runtime.Gosched()
	if !done() {
		runtime.Gosched()
	}
}
