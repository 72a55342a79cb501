//go:build !linux

package kqsim

// Install does nothing: the simulation needs Linux, and there is a real kqueue on
// most of the others.
func Install() {}
