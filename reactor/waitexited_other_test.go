//go:build !linux

package reactor_test

import "github.com/evfork/evfork/reactor"

// waitUntilExited is not needed where WatchProcess is not there yet.
func waitUntilExited(int) error { return reactor.ErrUnsupported }
