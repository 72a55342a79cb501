package reactor

import (
	"os"

	"github.com/evfork/evfork/internal/poller"
)

// envBackend names the poller of loops whose Config does not.
const envBackend = "EVFORK_BACKEND"

// openBackend opens the poller of that name. The error says which names there
// are, and is an ErrUnsupported if the name is none of them or not one for here.
func openBackend(name string) (poller.Poller, error) {
	if name == "" {
		name = os.Getenv(envBackend)
	}
	p, err := poller.Open(name)
	return p, opError("open poller", -1, err)
}
