// Package reactortest is a world for a loop to be tested in: a Clock that the
// test moves and a Poller that reports what the test says. A test of a timeout of
// an hour takes no time, and runs the same way each time.
//
//	sim := reactortest.New(t, reactor.Config{})
//	server := NewServer(sim.Loop, 7)                    // 7 is a number, nothing is open
//	sim.Clock.After(time.Second, func() { sim.Poller.SetReady(7, reactor.Read) })
//	sim.Run()
//
// # Time
//
// Time passes only while the loop waits, and then by exactly as much as it would
// have waited: callbacks take none, unless they call Clock.Advance. Clock.After
// plans what happens in the world while the loop waits.
//
// # What is deterministic
//
// Everything, as long as only the test's goroutine is at work: which callbacks
// run, in which order, in which iteration, and at which time.
//
// If the loop waits for ever while nothing is ready and nothing is planned, the
// test would hang. Instead the wait fails with ErrDeadlock, which Run returns, and
// which says what the loop is watching. That includes a Run that only a Hold or a
// context keeps going.
//
// Goroutines started with Poller.Go take no time either: the clock stands still
// while one of them is running. So the time of what they post is deterministic,
// and the order among several of them is not.
//
// The package knows nothing of other goroutines: time passes, and the wait may end
// in ErrDeadlock, before one of them posts. A program that has its own is tested in
// a bubble of testing/synctest, whose time is everybody's. There the Poller goes
// without a Clock:
//
//	synctest.Test(t, func(t *testing.T) {
//		loop, err := reactor.New(reactor.Config{Poller: reactortest.NewPoller(nil)})
//		…
//	})
//
// The loop, and whoever waits for something of it (Loop.Do, Loop.Done, an rpc.Client's calls), must be in the same bubble or all
// outside of any: a goroutine that waits in a bubble may not be woken from outside, and the runtime ends the process for
// it ("send on synctest channel from outside bubble").
//
// # What is real
//
// Only waiting is replaced. A Stream reads and writes its descriptors, so these
// must be real; the test decides when the loop believes that they are ready. Keep
// made-up numbers away from real ones then: they are in one table.
// WatchProcess asks the kernel for the process, but its exit is never reported.
// There is no descriptor for a host: Loop.FD fails with reactor.ErrUnsupported.
package reactortest
