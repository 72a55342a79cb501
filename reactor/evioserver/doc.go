//go:build linux || darwin || (freebsd && !386 && !arm)

// Package evioserver runs handlers that were written for github.com/tidwall/evio,
// unchanged, on a reactor.Loop.
//
//	err := evioserver.Serve(events, "tcp://localhost:5000", "unix://socket")
//
// is evio.Serve with another loop below it. Attach has the same handlers called by a
// loop that does other things, too, such as driving children:
//
//	server, err := evioserver.Attach(loop, events, "tcp://localhost:5000")
//
// What the fields of evio.Events mean is evio's documentation's to say.
// docs/from-evio.md says what becomes of each here, and what differs. In short:
//
//   - No byte is lost. What a handler returns is written, behind what waits already,
//     before its action takes effect.
//   - A client that has ended its writing gets the answers to all that it has sent, and
//     to each Wake that came before. evio has no event for that end, so the connection is closed then.
//   - From a client that does not read its answers, no more is read.
//   - There is one loop, whatever NumLoops says: handlers need no locks.
//
// # Rules
//
// They are the reactor's. Everything but Conn.Wake, the addresses of a Conn, and
// connections that were detached, belongs to the loop's goroutine: that of Serve, or the one that runs
// the loop given to Attach. A panic in a handler leaves Serve, or is the loop's
// Config.OnPanic's matter; the connection that it came from is closed.
//
// # Systems
//
// The package exists where evio 1.0.8 can be compiled: on Linux, macOS, and FreeBSD
// with 64 bits.
package evioserver
