//go:build !linux

package sock_test

import "testing"

func needAbstract(t testing.TB) { t.Skip("abstract sockets are Linux's") }
func needDualStack(t testing.TB) {
	t.Skip("checked on Linux; OpenBSD and DragonFly have no such sockets")
}

// wantProbes looks at nothing: not every system has these options.
func wantProbes(t *testing.T, fd, idle, interval, count int) {}
