package reactor_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evfork/evfork/reactor"
)

// TestReadinessOfAFileOfProcWinsOverATimeout: if the poller had not reported it yet, for want of room, it was not asked for: by its mode
// such a file is a regular one.
func TestReadinessOfAFileOfProcWinsOverATimeout(t *testing.T) {
	loop := newLoop(t)
	needBackend(t, loop, "epoll", "others take no regular file")
	for range 100 {
		watch(t, loop, readyPipe(t).Read, reactor.Read, func(reactor.Ready) {})
	}
	fd, err := unix.Open("/proc/self/mounts", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	got := reactor.Ready(0)
	_, err = loop.Once(fd, reactor.Read, 0, func(ready reactor.Ready) { got = ready })
	must(t, err)
	pollTimes(t, loop, 1)
	if got != reactor.Read {
		t.Errorf("got %q, want read", reactor.ReadyString(got))
	}
}
