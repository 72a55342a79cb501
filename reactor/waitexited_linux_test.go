package reactor_test

import "golang.org/x/sys/unix"

// waitUntilExited waits until a child has exited and leaves it unreaped.
func waitUntilExited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
