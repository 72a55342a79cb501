package sock_test

import (
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor/sock"
)

// TestKeepAliveOfCenturiesIsRefused: the kernel was given the lower half of the number,
// which could be one second.
func TestKeepAliveOfCenturiesIsRefused(t *testing.T) {
	loop := newLoop(t)
	l := listen(t, loop, "tcp", "127.0.0.1:0", sock.ListenConfig{}, ignore)
	for _, k := range []sock.KeepAlive{
		{Idle: (1<<32 + 1) * time.Second},
		{Interval: (1<<32 + 1) * time.Second},
		{Count: math.MaxInt/2 + 2},
	} {
		wantErr(t, sock.SetKeepAlive(l.FD(), k), unix.EINVAL)
	}
}
