package kqsim

import (
	"os"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// Install gives this process a kqueue: EVFORK_BACKEND=kqueue and
// reactor.Config.Backend find it. EVFORK_KQSIM names one of the Presets. It is for
// the first line of TestMain, before worker processes become workers, and panics
// on a name that is none.
func Install() {
	quirks, known := Presets()[os.Getenv("EVFORK_KQSIM")]
	if name := os.Getenv("EVFORK_KQSIM"); name != "" && !known {
		panic("kqsim: EVFORK_KQSIM=" + name + " is none of the presets")
	}
	poller.SimulateKqueue(func() (kevent.Queue, error) { return New(quirks) })
}
