package sock_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

func needAbstract(testing.TB)  {}
func needDualStack(testing.TB) {}

func wantProbes(t *testing.T, fd, idle, interval, count int) {
	t.Helper()
	wantOption(t, "TCP_KEEPIDLE", fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	wantOption(t, "TCP_KEEPINTVL", fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval)
	wantOption(t, "TCP_KEEPCNT", fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count)
}
