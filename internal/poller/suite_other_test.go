//go:build !linux

package poller_test

// more are the constructors of this platform besides Open.
func more() []constructor { return nil }
