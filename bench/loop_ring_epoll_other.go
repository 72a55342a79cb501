//go:build !linux

package main

// bareLoops has none where epoll is not.
func bareLoops() map[string]func() (ringTurns, error) {
	return map[string]func() (ringTurns, error){}
}
