package child

import "golang.org/x/sys/unix"

// abandonMillis bounds the wait for a killed process when the loop is gone.
const abandonMillis = 2000

// waitExit waits for the exit of an unreaped child and reports whether it came.
func waitExit(pid int) bool {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true // wait4 will say what it is
	}
	defer unix.Close(pidfd)
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, abandonMillis)
		if err != unix.EINTR {
			return n > 0
		}
	}
}
