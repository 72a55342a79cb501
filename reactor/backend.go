package reactor

import (
	"os"

	"github.com/evfork/evfork/internal/poller"
)

// envBackend names the poller of loops whose Config does not.
const envBackend = "EVFORK_BACKEND"

// openPoller gives the loop its poller: the one it was given, or else that of the
// name. The error says which names there are, and is an ErrUnsupported if the
// name is none of them or not one for here.
func openPoller(config Config) (Poller, error) {
	if config.Poller != nil {
		return config.Poller, nil
	}
	name := config.Backend
	if name == "" {
		name = os.Getenv(envBackend)
	}
	p, err := poller.Open(name)
	return p, opError("open poller", -1, err)
}
