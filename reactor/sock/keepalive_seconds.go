//go:build linux || freebsd || netbsd || dragonfly

package sock

import "golang.org/x/sys/unix"

// setProbes sets the times of keep-alive, in seconds.
func setProbes(fd, idle, interval, count int) error {
	for _, o := range [...]struct{ option, value int }{
		{unix.TCP_KEEPIDLE, idle}, {unix.TCP_KEEPINTVL, interval}, {unix.TCP_KEEPCNT, count},
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.option, o.value); err != nil {
			return err
		}
	}
	return nil
}
