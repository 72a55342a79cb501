package child

import "syscall"

// ExitStateOf is what a status of wait4 becomes.
func ExitStateOf(status syscall.WaitStatus) ExitState {
	return exitState(status, &syscall.Rusage{})
}
