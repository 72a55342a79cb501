//go:build !linux

package reactor_test

import (
	"runtime"

	"github.com/evfork/evfork/internal/waitpeek"
)

// waitUntilExited waits until a child has exited and leaves it unreaped. There is
// no wait for that everywhere, so it asks again and again.
func waitUntilExited(pid int) error {
	for {
		exited, err := waitpeek.Exited(pid)
		if exited || err != nil {
			return err
		}
		runtime.Gosched()
	}
}
