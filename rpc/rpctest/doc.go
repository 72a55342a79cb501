// Package rpctest is for testing programs that use package rpc: children without
// a process, and connections that go wrong where the test says.
//
//	transport := rpctest.Start(t, loop, func(fds rpc.FDs) error {
//		return rpc.ServeSync(fds, handler)
//	})
//	client, err := rpc.NewClient(transport, rpc.Config{})
//
// Start runs the server on a goroutine of the test's process; Pair leaves it to
// the test to run it, for instance on the client's own loop; Wrap is for children
// that exist already, processes included. All return a Transport, which carries
// every byte through its own hands: it can be killed, stopped and continued like a
// process, and Config says at which byte of which direction what goes wrong.
//
// # What is imitated
//
// A Transport ends as a child.Process does: what it had delivered is read first,
// then every call ends, and the cause is a *child.ExitError. The server function's
// return is the exit: with code 0 after nil, with code 1 and the error as the end
// of stderr after an error, with code 2 after a panic. Kill is signal 9.
//
// A byte counts as read by the child once the Transport has passed it on, and not
// before. So LostError.Started is exact where the OS tells how much lies in a pipe
// (Linux), and "may have been" elsewhere, as it is with processes.
//
// What cannot be imitated is the death of the code: a server function whose
// Transport was killed goes on until it notices the end of its input, or that it
// cannot write. The test waits for it, and fails if it does not return.
//
// # Bubbles
//
// The loop of a Client, whoever makes the Client, and its callers must be in the same bubble of testing/synctest, or all outside of
// any: see package reactortest.
//
// # Faults
//
// Each direction is cut into pieces, delayed, and subjected to a list of Faults,
// each at a byte offset:
//
//	rpctest.Config{
//		ToChild:  rpctest.Faults{Piece: 1},
//		ToParent: rpctest.Faults{List: []rpctest.Fault{{At: 40, Do: rpctest.Kill}}},
//	}
//
// What is drawn at random comes from Config.Seed. If that is 0 the test logs the one
// it used, and EVFORK_SEED=n in the environment runs a failure again.
//
// # Where things run
//
// Everything but the server function runs on the loop that is given, and all
// methods belong to its goroutine unless they say otherwise. Delays are timers of that
// loop; with Simulate they take no time.
package rpctest
