package reactor

import "golang.org/x/sys/unix"

// ExpireJumpNotice makes the timerfd that tells of jumps readable.
func (l *Loop) ExpireJumpNotice() error {
	return unix.TimerfdSettime(l.walls.notice.w.fd, 0, &unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}, nil)
}
