//go:build !linux

package poller_test

// atStart does nothing: the helper is for the simulation.
func atStart() {}

// more are the constructors of this platform besides its best and poll.
func more() []constructor { return nil }
