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
// would link it. It is written once, before anything is opened.
var simulation atomic.Pointer[func() (kevent.Queue, error)]

// SimulateKqueue has Open("kqueue") use another kernel. Only TestMain functions
// call it, first thing. It panics if it is called twice.
func SimulateKqueue(open func() (kevent.Queue, error)) {
	if !simulation.CompareAndSwap(nil, &open) {
		panic("poller: SimulateKqueue was called twice")
	}
}
