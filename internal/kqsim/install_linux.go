package kqsim

import (
	"fmt"
	"os"

	"github.com/evfork/evfork/internal/poller"
	"github.com/evfork/evfork/internal/poller/kevent"
)

// Install gives this process a kqueue: EVFORK_BACKEND=kqueue and
// reactor.Config.Backend find it. EVFORK_KQSIM names one of the Presets. It is for
// the first line of TestMain, before worker processes become workers.
func Install() {
	poller.SimulateKqueue(func() (kevent.Queue, error) {
		// Read here and not above: what a test binary looks up before its tests run
		// does not count as an input of theirs, and go test would take the results of
		// one preset for those of another.
		name := os.Getenv("EVFORK_KQSIM")
		quirks, known := Presets()[name]
		if name != "" && !known {
			return nil, fmt.Errorf("kqsim: EVFORK_KQSIM=%s is none of the presets", name)
		}
		return New(quirks)
	})
}
