//go:build !linux

package poller_test

// more are the constructors of this platform besides its best and poll.
func more() []constructor { return nil }
