package waitpeek

import "golang.org/x/sys/unix"

// peek is waitid(2). It reports the stop of a process that has itself traced by its parent (PTRACE_TRACEME), whatever it was asked
// for (wait_task_stopped of kernel/exit.c). With nothing to report it leaves the code zero.
func peek(pid int) (bool, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && isExit(info.Code), err
}
