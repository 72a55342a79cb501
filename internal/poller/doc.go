// Package poller is the contract between the loop and the operating system's
// readiness interface, and its implementations.
//
// # Contract
//
// A Poller reports which of the registered file descriptors are ready. It is
// level-triggered: what is ready and stays ready is reported by every Wait, except as
// rule 14 says.
//
//  1. All methods except Wake belong to the goroutine of the loop. Wake may be
//     called from any goroutine between Open and Close; the loop makes sure
//     that no Wake is under way when it calls Close.
//  2. Every registration carries a generation chosen by the loop. Wait returns
//     it with each event, so that an event for a descriptor number that has
//     been closed and reused meanwhile is recognised by one comparison.
//  3. Interest is a non-empty set. A descriptor without interest is not
//     registered: kernels report errors and hang-ups even for an empty set, and
//     a loop that does not want them would spin.
//  4. HangUp alone asks to be told when the other side has gone, and for
//     nothing else. An error or a hang-up is reported as Read|Write|HangUp, so
//     that whoever watches the descriptor runs into the error by itself. A
//     socket of which one direction has been shut down has not hung up.
//  5. Wait(0) never blocks, Wait of a negative timeout blocks until an event or
//     a Wake, any other timeout is never cut short by rounding. Wait may return
//     no event at all: after a Wake, a signal, or for no reason.
//  6. The events returned by Wait are valid until the next call of Wait.
//  7. A Wake that was made before or during a Wait ends it. Wakes are coalesced.
//  8. FD is a descriptor that is readable while Wait(0) would report something,
//     for hosting the loop inside another one. It stays the same over Rebuild.
//     poll(2) has no such descriptor: its FD fails with ErrUnsupported.
//  9. Rebuild forgets the registration of every descriptor, including those that
//     the kernel holds for descriptors that were closed while another process had
//     a duplicate.
//  10. Add reports its errors itself: EBADF for a descriptor that is not open,
//     EEXIST for one that is registered, EPERM for a file that never blocks (a
//     regular file, a directory). The other side being gone is not an error but an
//     event. Modify of a descriptor that is not registered is ENOENT; Remove of one
//     may say so, or nothing.
//  11. Modify and Remove may take effect as late as in the next Wait, before it
//     reports anything. An error that is met then is reported like a hang-up.
//  12. Remove comes before close(2). For a descriptor that was closed first there
//     are no events, or stale ones: of a generation that is not that of any
//     registration.
//  13. Some pollers watch processes: see ProcessPoller. The exit of a process is
//     reported once, as Exited with its pid in FD, and ends the registration; that
//     of one that had exited before, but was not reaped, by the next Wait. Pids and
//     descriptors are different things even where they have the same number.
//     wait4(2) may have to wait a moment after the report.
//  14. Edge beside other bits allows the Poller to report what has changed since its
//     last report, instead of what is so; a hang-up is reported along with
//     bytes that are left, and then not again. Add and Modify begin anew. A Poller
//     may ignore the bit; epoll does not, because a level-triggered event costs it another
//     look at the descriptor, in the Wait behind the one that reported it.
package poller
