package child

import "syscall"

// ExitStateOf is what a status of wait4 becomes.
func ExitStateOf(status syscall.WaitStatus) ExitState {
	return exitState(status, &syscall.Rusage{})
}

// Exiting is what decides whether a child whose pipe has ended gets more patience.
func Exiting(pid int) bool { return exiting(pid) }
