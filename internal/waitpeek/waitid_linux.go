package waitpeek

import "golang.org/x/sys/unix"

// peek is waitid(2). Without an exit it leaves the signal number zero.
func peek(pid int) (bool, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0, err
}
