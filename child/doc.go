// Package child starts, watches, feeds, stops and reaps child processes from
// a reactor.Loop. It knows nothing of RPC: a child is a pair of pipes, an output
// to drain and an end.
//
// # Workers
//
// A worker is this program again, started with the name of a function:
//
//	func main() {
//		child.Main(child.Workers{"resize": resize}) // first line: runs the worker and exits, if we are one
//		...
//		proc, err := child.Start(loop, child.Config{Worker: "resize"})
//	}
//
// Config.Path starts any other program instead.
//
// # Descriptors
//
// By default the child reads its protocol from descriptor 3 and writes it to 4;
// with Stdio, for programs that know nothing of this package, from 0 to 1. What
// the child writes to stdout and stderr is always drained while the loop runs,
// and the end of stderr is kept for errors. A child inherits nothing else, but for descriptors that are not
// close-on-exec: Go opens none of these, but this process may have been given some.
//
// # The end
//
// That a child has exited and that its pipe is at EOF are two events, which come
// in either order. OnEnd waits for both, so that the last bytes are delivered and
// the signal that killed the child is known: after the exit the pipes are drained
// of what they hold, even if a grandchild keeps them open; after an EOF alone
// the child has a quarter of a second to exit before it is put down. docs/child-lifecycle.md
// has the whole story.
//
// Each child leads a process group of its own, so Ctrl-C in a terminal reaches
// only the parent; the group is signalled as a whole when the child is put down,
// and what is left of it when the child exits is killed.
//
// # Goroutines
//
// Everything belongs to the loop's goroutine, except the methods of Process that
// are documented as goroutine-safe. There is no goroutine per child; one locked
// thread per loop does the spawning, because PDEATHSIG follows the thread.
package child
