package poller

import (
	"sync/atomic"

	"github.com/evfork/evfork/internal/poller/kevent"
)

// simulation is where kqueues come from if not from the operating system. It is
// the one variable of this package. A parameter could not replace it: the tests
// that run on the simulator are those of packages above, some of them in worker
// processes that call reactor.New by themselves and choose the poller by the
// environment; and the simulator cannot be imported from here, or every program
// would link it. It is written once, before anything is opened. It opens the poller and not only the queue, so
// that programs on systems without kqueues do not link what works on them.
var simulation atomic.Pointer[func() (Poller, error)]

// SimulateKqueue has Open("kqueue") use another kernel. Only TestMain functions
// call it, first thing. It panics if it is called twice.
func SimulateKqueue(open func() (kevent.Queue, error)) {
	simulated := func() (Poller, error) { return openKqueueOf(open) }
	if !simulation.CompareAndSwap(nil, &simulated) {
		panic("poller: SimulateKqueue was called twice")
	}
}
