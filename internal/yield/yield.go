// Package yield lets other goroutines have the processor at the moments when that costs least: before
// a goroutine blocks in a system call, which keeps its processor until the runtime's monitor
// takes it away. What is said of the runtime here was read in runtime/proc.go of Go 1.26.
package yield

import (
	"runtime"
	"time"
)

// Slice is how long a goroutine may go on before it should yield of its own accord. After 10 ms
// (forcePreemptNS) without another goroutine the runtime's monitor takes the processor from it, also
// if it spends its time in short system calls and there is nobody else to have it. With GOMAXPROCS=1
// a second thread is woken for that, and the monitor looks every 20 µs again instead of every 10 ms.
// The rest is for the monitor's own delay.
const Slice = 8 * time.Millisecond

// Reads is how many blocking reads a goroutine that does not read the clock may make before it
// should yield: at 8,000 a second, below which the monitor's part in the cost of a read is small, a Slice.
const Reads = 64

// UntilIdle lets those goroutines run that are runnable on this processor, and returns early when done, asked in
// between, is true. It yields twice, because the scheduler looks at the queue in which a yielding
// goroutine waits before that of the others in every 61st of its decisions.
func UntilIdle(done func() bool) {
	runtime.Gosched()
	if !done() {
		runtime.Gosched()
	}
}
