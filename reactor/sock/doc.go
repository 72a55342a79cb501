// Package sock puts sockets on a reactor.Loop: listeners, dials, datagrams, and
// connections taken from package net and given back to it. It is the only package
// of the core that imports net; the loop itself, and workers that do not need
// sockets, stay as small as they are.
//
//	listener, err := sock.Listen(loop, "tcp", "localhost:7", sock.ListenConfig{}, func(c *sock.Conn) {
//		var s *reactor.Stream
//		s, _ = c.Stream(reactor.StreamConfig{
//			OnData: func(p []byte) { s.Write(p) },
//			OnEOF:  func() { s.CloseWrite() },
//		})
//	})
//	_, err = sock.Dial(loop, "tcp", "example.org:80", sock.DialConfig{Timeout: time.Second}, func(c *sock.Conn, err error) { … })
//
// # Rules
//
// They are the reactor's: everything belongs to the loop's goroutine, callbacks
// run on the loop and never inside the call that armed them, and a function that
// returns an error never calls back.
//
// A *Conn is lent to a callback, which makes a stream of it or takes its
// descriptor; otherwise it is closed when the callback returns. Forgetting one
// does not leak it.
//
// All descriptors are non-blocking and close-on-exec from the beginning on, with
// regard to a fork of another thread too. Nothing is inherited by children.
//
// The loop's Close closes listeners, ends dials and look-ups with
// reactor.ErrClosed and drops queued datagrams; Shutdown sends these. A panic by which the
// loop fails does what Close does. Streams are the loop's own affair.
//
// # Goroutines
//
// There is none per connection. Looking up a host name, which package net can do
// only by blocking, takes a goroutine until the answer is posted to the loop; IP
// literals do not.
//
// # Running out of descriptors
//
// A listening socket whose connection cannot be accepted stays ready: a loop that
// goes on watching it spins, and one that takes the error for final loses its
// listener. Here the listener pauses, longer each time, or sheds connections; see
// ListenConfig.Shed. Errors that concern a single connection are passed over.
//
// # Cost
//
// On Linux accepting is one system call per connection, plus one per batch that
// finds nothing more, and allocates nothing: options are inherited from the
// listening socket, and addresses are converted for those who ask. Receiving and
// sending datagrams is one system call each and allocates nothing; recvmmsg(2) and
// sendmmsg(2), one for many, are not used.
package sock
