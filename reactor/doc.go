// Package reactor is an event loop for one goroutine: descriptors, timers,
// wall-clock times, signals, processes, paths, posted functions and lossless byte
// streams, on epoll, kqueue or poll(2).
//
//	loop, err := reactor.New(reactor.Config{})
//	loop.AfterFunc(time.Second, func() { fmt.Println("a second later") })
//	err = loop.Run(ctx) // returns when nothing is left to wait for
//	loop.Close()
//
// # Iteration
//
// Run, RunParked, RunUntil and Poll do the same thing in a loop, in this order:
//
//  1. prepare hooks are called,
//  2. bytes that were queued outside an iteration, or by 1, are written,
//  3. the timeout is found: none while work is pending or an idle hook is active, or,
//     except in Poll, if nothing is left that keeps Run running; else the first timer,
//  4. the loop waits (see below),
//  5. Now is read from the clock,
//  6. what has happened becomes pending: watchers that were fed, timers that are
//     due in the order of their deadlines (a bounded number of them), and watchers
//     of ready descriptors in the kernel's order,
//  7. what is pending is called, by priority, then in the order of 6. A callback
//     can still stop what has not been called; what it starts or feeds waits for
//     the next iteration,
//  8. callbacks that were put off are made: OnClose, OnDrain, OnTimeout, and units
//     that a stream's Reader held back,
//  9. if a single descriptor was ready, nothing else is pending, and a callback has
//     made one goroutine runnable, that gets a turn (not in a Poll of 0), and
//     Now is read again; posted functions run, a bounded batch; posts made meanwhile wait. What
//     comes by way of goroutines becomes pending here, and is called: signals,
//     asyncs, and exits where the kernel has no descriptor for them,
//  10. check hooks are called,
//  11. idle hooks are called, if nothing of their priority or higher happened,
//  12. streams write what has been queued, in one system call each (of more than
//     8 kB the beginning has left already). This comes last, so that neither
//     Poll nor Stop leaves bytes behind,
//  13. how long all this took is counted (Stats.Lag), before the next wait blocks
//     or when it has ended without.
//
// The wait asks the kernel without blocking first. If that brings nothing and a
// callback has made a goroutine runnable, goroutines get a turn and the loop
// looks once more, since what they do is usually a Post. Only then it blocks.
//
// # Rules
//
// Everything belongs to one goroutine, the loop's: the one inside Run, RunParked,
// RunUntil or Poll, and outside of these the one that made the loop. Only Post,
// Do, Stop, Hold, Done, and Send and Pending of an Async may be used from other
// goroutines.
//
// A function that returns an error never runs its callback. Otherwise the
// callback runs on the loop, never inside the call that armed it, and exactly
// once unless it is stopped or repeats. A panic in a callback leaves Run, unless
// Config.OnPanic is there to be told.
//
// Descriptors given to WatchFD stay the caller's; those given to NewStream become
// the stream's. Bytes given to a callback are valid until it returns.
//
// Run keeps running while something referenced is active. Watchers that should
// not count are unreferenced with Unref; Hold counts without a watcher.
//
// # Elsewhere
//
// A loop can wait in Go's netpoller (RunParked), run inside another one (Host), or
// inside any other event loop that can watch a descriptor (FD, NextDeadline).
// Package reactortest has what tests need that are to take no time.
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
