// Package reactor is an event loop for one goroutine: descriptors, timers,
// processes, posted functions and lossless byte streams, on epoll, kqueue or poll.
//
//	loop, err := reactor.New(reactor.Config{})
//	loop.AfterFunc(time.Second, func() { fmt.Println("a second later") })
//	err = loop.Run(ctx) // returns when nothing is left to wait for
//	loop.Close()
//
// # Iteration
//
// Run, RunUntil and Poll do the same thing in a loop, in this order:
//
//  1. bytes that streams queued outside an iteration are written,
//  2. the timeout is found: none while work is pending, else the first timer,
//  3. the loop waits (see below),
//  4. Now is read from the clock,
//  5. timers that are due fire, in the order of their deadlines,
//  6. watchers of ready descriptors are called, in the kernel's order,
//  7. callbacks that were put off run: OnClose, OnDrain,
//  8. posted functions run, a bounded batch; posts made meanwhile wait,
//  9. streams write what has been queued, in one system call each (of more than
//     8 kB the beginning has left already). This comes last, so that neither
//     Poll nor Stop leaves bytes behind.
//
// The wait asks the kernel without blocking first. If that brings nothing and a
// callback has made a goroutine runnable, goroutines get a turn and the loop
// looks once more, since what they do is usually a Post. Only then it blocks.
//
// # Rules
//
// Everything belongs to one goroutine, the loop's: the one inside Run, Poll or
// RunUntil, and outside of these the one that made the loop. Only Post, Do, Stop,
// Hold and Done may be used from other goroutines.
//
// A function that returns an error never runs its callback. Otherwise the
// callback runs on the loop, never inside the call that armed it, and exactly
// once unless it is stopped or repeats. A panic in a callback leaves Run.
//
// Descriptors given to WatchFD stay the caller's; those given to NewStream become
// the stream's. Bytes given to a callback are valid until it returns.
//
// Run keeps running while something referenced is active. Watchers that should
// not count are unreferenced with Unref; Hold counts without a watcher.
//
// # Cost
//
// Starting, stopping and firing a timer is O(log n); starting, stopping and
// dispatching a descriptor O(1) with one system call per change; Post O(1), with
// a system call only if the loop sleeps. Nothing of this allocates in steady
// state. See docs/design.md for why, and docs/performance.md for figures.
//
// # Not here
//
// No threads, no work stealing, no goroutine per anything; no Windows, no
// io_uring; no TLS. The package imports neither net nor os/user.
package reactor
